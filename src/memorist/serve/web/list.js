// A list of any length of which only the rows in sight exist. Rows come from the server a page at a time.

import {h} from "./dom.js";

const ROW = 64;
const PAGE = 100;
const KEPT = 60;
const TALLEST = 8_000_000; // pixels that every browser can scroll; a longer list is scrolled in proportion

// `load(skip, limit, signal)` gives rows, `draw(row)` their content, `open(row)` what Enter or a click does.
export function list({label, total, load, draw, open, fail}) {
  const pages = new Map();
  const tall = h("div", {class: "tall", role: "presentation"});
  const box = h("div", {class: "list", role: "listbox", tabindex: 0, "aria-label": label}, tall);
  const height = Math.min(total * ROW, TALLEST);
  let selected = 0, waiting = 0, painting = 0, asked = new AbortController();
  tall.style.height = `${height}px`;

  const seen = () => Math.max(1, Math.floor(box.clientHeight / ROW));
  const shift = () => { // how far the list is behind its scroll bar, in pixels
    const room = Math.max(1, height - box.clientHeight);
    return box.scrollTop / room * Math.max(0, total * ROW - box.clientHeight);
  };
  const at = (place) => pages.get(Math.floor(place / PAGE))?.rows?.[place % PAGE];

  function paint() {
    painting = 0;
    const top = shift(), first = Math.max(0, Math.floor(top / ROW) - 4);
    const last = Math.min(total, first + seen() + 10);
    const shown = [];
    for (let place = first; place < last; place++) {
      const row = at(place);
      const item = h("div", {class: "item", role: "option", id: `row-${place}`, "aria-posinset": place + 1,
        "aria-setsize": total, "aria-selected": String(place === selected), "data-place": place,
        "aria-busy": row ? null : "true"}, row ? draw(row) : h("p", {class: "quiet"}, "…"));
      item.style.top = `${box.scrollTop + place * ROW - top}px`;
      shown.push(item);
    }
    tall.replaceChildren(...shown);
    box.setAttribute("aria-activedescendant", `row-${selected}`);
    clearTimeout(waiting);
    const missing = new Set();
    for (let place = first; place < last; place++) if (!at(place)) missing.add(Math.floor(place / PAGE));
    if (missing.size) waiting = setTimeout(() => missing.forEach(fetchPage), 40); // not while it flies past
  }

  async function fetchPage(page) {
    if (pages.has(page)) return;
    pages.set(page, {});
    try {
      pages.set(page, {rows: await load(page * PAGE, PAGE, asked.signal)});
    } catch (error) {
      pages.delete(page);
      if (error.name !== "AbortError") fail(error);
      return;
    }
    for (const old of pages.keys()) {
      if (pages.size <= KEPT) break;
      if (old !== page) pages.delete(old);
    }
    soon();
  }

  const soon = () => { painting ||= requestAnimationFrame(paint); };

  function reveal(place) {
    selected = Math.max(0, Math.min(total - 1, place));
    const top = shift(), wanted = selected * ROW;
    let to = top;
    if (wanted < top) to = wanted;
    if (wanted + ROW > top + box.clientHeight) to = wanted + ROW - box.clientHeight;
    const range = Math.max(1, total * ROW - box.clientHeight);
    if (to !== top) box.scrollTop = to / range * Math.max(1, height - box.clientHeight);
    soon();
  }

  box.addEventListener("scroll", soon, {passive: true});
  box.addEventListener("keydown", (event) => {
    const steps = {ArrowDown: 1, j: 1, ArrowUp: -1, k: -1, PageDown: seen(), PageUp: -seen(), Home: -total, End: total};
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key in steps) reveal(selected + steps[event.key]);
    else if (event.key === "Enter" && at(selected)) open(at(selected));
    else return;
    event.preventDefault();
  });
  box.addEventListener("click", (event) => {
    const item = event.target.closest(".item");
    if (!item) return;
    selected = Number(item.dataset.place);
    if (at(selected)) open(at(selected));
  });
  new ResizeObserver(soon).observe(box);
  return {element: box, go: (place) => { reveal(total); reveal(place); }, stop: () => { asked.abort(); clearTimeout(waiting); }};
}
