// Where the words at each face's box go: on no face and on no other tag. What finds no room becomes shorter.

const LONGEST_LABEL = 14;
const MOST_OF_OWN_FACE = 0.25;

// faces: with box [x1, y1, x2, y2], person, label, confidence, readable. All lengths are in pixels of the canvas.
// Returns { text, x, y, width, height } for each face, or null where there is no room.
export function placeTags(faces, { width, height, gap, pad, bar, measure }) {
  const taken = [];
  return faces.map((face, number) => {
    const others = faces.filter((_, index) => index !== number).map(({ box }) => grown(box, gap));
    const tag = placeTag(face, [...others, ...taken], { width, height, pad, bar, measure });
    if (tag) taken.push([tag.x, tag.y, tag.x + tag.width, tag.y + tag.height]);
    return tag;
  });
}

function placeTag(face, taken, { width, height, pad, bar, measure }) {
  const tags = forms(face).map((text) => ({ text, width: measure(text) + 2 * pad, height: bar }));
  for (const places of [around, inside]) {
    for (const tag of tags) {
      for (const [x, y] of places(face.box, tag.width, tag.height, width)) {
        const place = [x, y, x + tag.width, y + tag.height];
        const isWithin = x >= 0 && y >= 0 && place[2] <= width && place[3] <= height;
        if (isWithin && !taken.some((other) => overlap(place, other))) return { ...tag, x, y };
      }
    }
  }
  return null;
}

function forms({ person, label, confidence, readable }) {
  const short = label.length > LONGEST_LABEL ? `${label.slice(0, LONGEST_LABEL - 1)}…` : label;
  const texts = readable ? [`${short} ${Math.round(confidence * 100)} %`, short] : [short];
  return person === null ? texts : [...texts.map((text) => `#${person} ${text}`), short, `#${person}`];
}

function around([x1, y1, x2, y2], width, height, pictureWidth) {
  const columns = [x1, x2 - width].map((x) => Math.max(0, Math.min(x, pictureWidth - width)));
  const rows = [y1, y2 - height];
  return [y1 - height, y2].flatMap((y) => columns.map((x) => [x, y]))
    .concat([x2, x1 - width].flatMap((x) => rows.map((y) => [x, y])));
}

function inside([x1, y1, , y2], width, height, pictureWidth) {
  if (height > MOST_OF_OWN_FACE * (y2 - y1)) return [];
  const x = Math.max(0, Math.min(x1, pictureWidth - width));
  return [[x, y1], [x, y2 - height]];
}

function grown([x1, y1, x2, y2], gap) {
  return [x1 - gap, y1 - gap, x2 + gap, y2 + gap];
}

function overlap(a, b) {
  return a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3];
}
