// The best frame of a person, large, over the page.

function showBest(person, player) {
  byId("best-picture").src = `data:image/jpeg;base64,${person.picture}`;
  byId("best-words").textContent = `${person.title}, best seen at ${clockText(person.pictureS)}`;
  byId("best-go").onclick = () => {
    byId("best").close();
    player.seek(person.pictureS);
  };
  byId("best").showModal();
}

byId("best-close").addEventListener("click", () => byId("best").close());
byId("best").addEventListener("click", ({ target }) => target.id === "best" && target.close()); // beside the picture
