// Shows what becomes of a message as it happens; without it the page looks
// again by itself every few seconds.
"use strict";
(() => {
  const main = document.querySelector("main[data-receipt]");
  if (!main || main.dataset.state !== "kept" && main.dataset.state !== "delivering") return;
  main.setAttribute("aria-live", "polite");
  const here = main.dataset.receipt;
  if (location.pathname !== here) history.replaceState(null, "", here); // a reload must not send the form again
  const events = new EventSource(here);
  let asked = 0; // what is asked for first may come last
  events.addEventListener("receipt", async (event) => {
    const state = JSON.parse(event.data).state;
    const over = state !== "kept" && state !== "delivering";
    if (over) events.close();
    if (state === main.dataset.state) return;
    const turn = ++asked;
    const answer = await fetch(here, {headers: {Accept: "text/html"}, cache: "no-store"});
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (turn !== asked) return;
    document.title = page.title;
    document.body.className = page.body.className;
    main.replaceChildren(...page.querySelector("main").childNodes);
    main.dataset.state = page.querySelector("main").dataset.state;
    document.querySelector("footer").replaceChildren(...page.querySelector("footer").childNodes);
  });
})();
