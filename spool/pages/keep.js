// For a platform's own pages: posts the forms that say data-deich-keep without
// leaving the page. Where the message is kept, the page says that it will be sent, and
// later what became of it; whatever else is answered is shown as ever. Without this
// script the browser shows Deich's receipt instead.
"use strict";
(() => {
  const receipts = "/.well-known/deich/receipts/";
  const words = (document.documentElement.lang || "en").toLowerCase().startsWith("de") ? {
    kept: "Gespeichert. Wir senden Ihre Nachricht, sobald der Dienst wieder da ist.", delivering: "Ihre Nachricht wird zugestellt.",
    delivered: "Ihre Nachricht wurde zugestellt.", rejected: "Der Dienst hat Ihre Nachricht nicht angenommen.",
    expired: "Ihre Nachricht konnte nicht rechtzeitig zugestellt werden.", unconfirmed: "Ihre Nachricht ist vielleicht nicht angekommen.",
    damaged: "Ihre Nachricht ist verloren.", silent: "Keine Antwort. Bitte senden Sie noch einmal; doppelt kommt es nicht an.", show: "Ansehen",
  } : {
    kept: "Saved. Your message will be sent as soon as the service is back.", delivering: "Your message is being delivered.",
    delivered: "Your message was delivered.", rejected: "The service did not take your message.",
    expired: "Your message could not be delivered in time.", unconfirmed: "Your message may not have arrived.",
    damaged: "Your message is lost.", silent: "No answer. Please send it again; it will not arrive twice.", show: "Show",
  };
  const fresh = () => [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, "0")).join("");
  const line = (form) => {
    const p = form.appendChild(document.createElement("p"));
    p.setAttribute("role", "status");
    return p;
  };
  // A page may say it in its own words: it hears the event "deich" and prevents its default.
  const say = (form, p, state, path) => {
    if (!form.dispatchEvent(new CustomEvent("deich", {bubbles: true, cancelable: true, detail: {state, receipt: path}}))) return;
    p.dataset.deichState = state;
    p.textContent = words[state] || state;
    if (!path) return;
    const link = document.createElement("a");
    link.href = path;
    link.textContent = words.show;
    p.append(" ", link);
  };
  const watch = (form, p, path) => {
    say(form, p, "kept", path);
    const events = new EventSource(path);
    events.addEventListener("receipt", (event) => {
      const state = JSON.parse(event.data).state;
      if (state !== "kept" && state !== "delivering") events.close();
      if (state !== p.dataset.deichState) say(form, p, state, path);
    });
  };
  // What is sent again unchanged is sent with the same key, byte by byte.
  const letter = async (it, submitter) => {
    const form = it.form, field = form.elements.namedItem(form.dataset.deichKeep);
    const data = new FormData(form, submitter);
    const said = JSON.stringify([...data].map(([name, v]) => name === field?.name ? 0 : [name, v instanceof File ? [v.name, v.size, v.lastModified] : v]));
    if (it.letter?.said === said) return it.letter;
    const key = field && !it.letter ? field.value : fresh();
    if (field) data.set(field.name, field.value = key);
    const made = new Response(form.getAttribute("enctype") === "multipart/form-data" ? data : new URLSearchParams(data));
    const headers = {Accept: "text/html", "Content-Type": made.headers.get("Content-Type")};
    if (!field) headers["Idempotency-Key"] = key;
    return it.letter = {said, headers, body: await made.arrayBuffer()};
  };
  const send = async (it, submitter) => {
    const {headers, body} = await letter(it, submitter);
    const form = it.form, p = it.line ||= line(form);
    let answer, text;
    try {
      answer = await fetch(form.getAttribute("action") || location.href, {method: "POST", headers, body});
      text = await answer.text();
    } catch {
      return say(form, p, "silent");
    }
    p.textContent = "";
    const path = answer.headers.get("Location") || "";
    if (answer.status === 202 && path.startsWith(receipts)) {
      form.reset();
      it.letter = {}; // the next one has a key of its own
      return watch(form, line(form), path);
    }
    if (answer.url !== location.href) history.pushState(null, "", answer.url);
    document.open();
    document.write(text);
    document.close();
  };
  for (const form of document.querySelectorAll("form[data-deich-keep]")) {
    const it = {form};
    form.addEventListener("submit", async (event) => {
      if (event.defaultPrevented) return;
      event.preventDefault();
      if (it.busy) return;
      it.busy = true;
      try { await send(it, event.submitter); } finally { it.busy = false; }
    });
  }
})();
