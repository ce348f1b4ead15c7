"use strict";

// How many characters are left to write.
for (const left of document.querySelectorAll("[data-left]")) {
  const text = left.closest("form").elements.text;
  const max = Number(left.dataset.left);
  text.addEventListener("input", () => {
    left.textContent = `${max - [...text.value].length} characters left.`;
  });
}

// New messages appear on the newest page as they are posted. They arrive as
// data and are put in as text, never as HTML.
const list = document.querySelector("[data-list]");
const live = document.querySelector("[data-live]");
if (list && live && "EventSource" in window) {
  const shownMax = 100;
  const shape = document.querySelector("template[data-message]").content.firstElementChild;
  const stream = new EventSource("/stream");
  const say = (words) => { live.hidden = false; live.textContent = words; };

  stream.addEventListener("open", () => say("Live: new messages appear here by themselves."));
  stream.addEventListener("error", () => say("Not live at the moment. Trying again."));
  stream.addEventListener("message", (event) => {
    const message = JSON.parse(event.data);
    if (document.getElementById(`m${message.id}`)) return;
    const item = shape.cloneNode(true);
    const part = (name) => item.querySelector(`[data-${name}]`);
    const at = new Date(message.at);
    item.id = `m${message.id}`;
    item.classList.add("new");
    item.querySelector("img").src = `/static/avatar/${Number(message.avatar)}.svg`;
    part("author").textContent = message.display;
    part("author").href = `/u/${encodeURIComponent(message.author)}`;
    part("name").textContent = `@${message.author}`;
    part("text").textContent = message.text;
    part("link").href = `/p/${Number(message.id)}`;
    part("at").dateTime = message.at;
    part("at").textContent = at.toLocaleString("en-GB", {
      day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", timeZone: "UTC",
    }) + " UTC";
    list.prepend(item);
    while (list.children.length > shownMax) list.lastElementChild.remove();
  });
  window.addEventListener("pagehide", () => stream.close());
}
