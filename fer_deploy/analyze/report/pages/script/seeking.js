// Seeking: click on a curve to go there, drag over it to zoom, drag along an axis or the overview to go through.

const A_CLICK_PX = 4;

function listenToPlot(plot, player) {
  const { box, brush } = plot;
  let from = null;
  const shareAt = (event) => {
    const place = box.getBoundingClientRect();
    return (event.clientX - place.left) / place.width;
  };
  const isDrag = (event) => Math.abs(event.clientX - from.x) >= A_CLICK_PX;
  const end = () => {
    from = null;
    brush.hidden = true;
  };
  box.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    from = { x: event.clientX, share: shareAt(event) };
    box.setPointerCapture(event.pointerId);
  });
  box.addEventListener("pointermove", (event) => {
    plot.pointed = view.timeAt(shareAt(event));
    plot.read();
    if (!from) return;
    brush.hidden = !isDrag(event);
    const [left, right] = [from.share, clamp(shareAt(event), 0, 1)].sort((one, other) => one - other);
    brush.style.left = `${100 * left}%`;
    brush.style.width = `${100 * (right - left)}%`;
  });
  box.addEventListener("pointerup", (event) => {
    if (!from) return;
    const times = [view.timeAt(from.share), view.timeAt(shareAt(event))].sort((one, other) => one - other);
    if (isDrag(event)) view.show(...times);
    else player.seek(view.timeAt(shareAt(event)));
    end();
  });
  box.addEventListener("pointercancel", end);
  box.addEventListener("pointerleave", () => {
    plot.pointed = null;
    plot.read();
  });
  box.addEventListener("dblclick", () => view.showAll());
  listenToScrubbing(plot.axis, player, (share) => view.timeAt(share));
}

function listenToScrubbing(box, player, timeAt) {
  const go = (event) => {
    const place = box.getBoundingClientRect();
    player.seek(timeAt(clamp((event.clientX - place.left) / place.width, 0, 1)));
  };
  box.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    box.setPointerCapture(event.pointerId);
    go(event);
  });
  box.addEventListener("pointermove", (event) => {
    if (box.hasPointerCapture(event.pointerId)) go(event);
  });
}
