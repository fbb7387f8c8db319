"use strict";
// Keeps the open page current: asks for it again every second, and puts what differs into place
// without touching the rest, so that focus, scrolling and opened details stay where they are.
(function () {
  const SECOND = 1000;
  let etag = null;
  let timer = null;
  let asked = 0; // looks are numbered: two may be under way at once
  let shown = 0;
  const live = document.getElementById("live");
  const said = document.getElementById("said");

  function localise(root) {
    const language = document.documentElement.lang;
    const today = new Date().toDateString();
    for (const time of root.querySelectorAll("time")) {
      const date = new Date(time.dateTime);
      if (isNaN(date)) continue;
      const clock = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };
      const day = { day: "numeric", month: "short" };
      const form = date.toDateString() === today ? clock : { ...day, ...clock };
      time.title = time.textContent;
      time.textContent = date.toLocaleString(language, form);
    }
  }

  function isSame(old, fresh) {
    return old.nodeType === fresh.nodeType && old.nodeName === fresh.nodeName &&
      (old.id || "") === (fresh.id || "");
  }

  function morph(old, fresh) {
    if (old.nodeType !== Node.ELEMENT_NODE) {
      if (old.data !== fresh.data) old.data = fresh.data;
      return;
    }
    if (old.hasAttribute("data-keep")) return;
    for (const { name } of [...old.attributes]) {
      const opened = name === "open" && old.nodeName === "DETAILS";
      if (!fresh.hasAttribute(name) && !opened) old.removeAttribute(name);
    }
    for (const { name, value } of fresh.attributes) {
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    morphChildren(old, fresh);
  }

  function morphChildren(old, fresh) {
    const byId = new Map([...old.children].filter((it) => it.id).map((it) => [it.id, it]));
    let place = old.firstChild;
    for (const wanted of [...fresh.childNodes]) {
      let match = wanted.id ? byId.get(wanted.id) : place;
      if (!match || !isSame(match, wanted)) match = null;
      if (!match) {
        old.insertBefore(wanted, place);
        if (wanted.id) arrived(old, wanted);
      } else {
        if (match === place) place = place.nextSibling;
        else old.insertBefore(match, place);
        morph(match, wanted);
      }
    }
    while (place) {
      const next = place.nextSibling;
      place.remove();
      place = next;
    }
  }

  function arrived(list, element) {
    element.classList.add("fresh");
    if (!list.hasAttribute("data-announce")) return;
    const title = element.querySelector("h2");
    said.textContent = said.dataset.new + ": " + (title ? title.textContent : "");
  }

  function show(html) {
    const page = new DOMParser().parseFromString(html, "text/html");
    localise(page);
    if (document.title !== page.title) document.title = page.title;
    morphChildren(document.body, page.body);
  }

  function hear(isOn) {
    const text = isOn ? live.dataset.on : live.dataset.off;
    if (live.textContent !== text) live.textContent = text;
    live.classList.toggle("lost", !isOn);
  }

  async function look() {
    const headers = { Accept: "text/html" };
    if (etag) headers["If-None-Match"] = etag;
    const number = ++asked;
    try {
      const answer = await fetch(location.href, { headers, cache: "no-store" });
      const html = answer.status === 304 ? null : await answer.text();
      if (number < shown) return; // a later look was faster: this one would turn things back
      shown = number;
      hear(true);
      if (html === null) return;
      etag = answer.headers.get("ETag");
      show(html);
    } catch (error) {
      if (number >= shown) hear(false);
    }
  }

  async function follow() {
    clearTimeout(timer);
    await look();
    clearTimeout(timer);
    timer = setTimeout(follow, document.hidden ? 10 * SECOND : SECOND);
  }

  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) follow();
  });

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.matches("[data-quiet]")) return;
    event.preventDefault();
    const fields = new URLSearchParams(new FormData(form));
    const button = event.submitter;
    if (button && button.name) fields.set(button.name, button.value);
    fetch(form.getAttribute("action"), { method: "POST", body: fields, redirect: "manual" })
      .catch(() => hear(false))
      .then(follow);
  });

  localise(document);
  follow();
})();
