// All memories of a scope by time: a bar for each stretch of days, and a list that begins anywhere.

import {get} from "./api.js";
import {head, named} from "./cards.js";
import {day, h, heading, number} from "./dom.js";
import {list} from "./list.js";

const BARS = 90;

export async function view(context) {
  const {user, query} = context, origin = query.get("origin") ?? "source", session = query.get("session") ?? "";
  const [parts, days] = await Promise.all([get("/v1/parts", {user}), get("/v1/days", {user, origin, session})]);
  const origins = [...new Set(["source", ...parts.items.map((one) => one.origin)])];
  const shown = list({
    label: "Memories, newest first", total: days.total, fail: context.fail,
    load: async (skip, limit, signal) => (await get("/v1/memories", {user, origin, session, skip, limit}, signal)).items,
    draw: (one) => [head(one), h("p", null, one.text)],
    open: (one) => context.open("memory", {id: one.id}),
  });
  const jump = (start) => { // to the newest memory of a day, or of the nearest before it
    let before = 0;
    for (const one of days.items) {
      if (day(one.start) <= start) break;
      before += one.count;
    }
    shown.go(before);
  };
  const choose = h("select", {onchange: () => context.open("timeline", {origin: choose.value})},
    origins.map((one) => h("option", {value: one, selected: one === origin}, named(one))));
  const date = h("input", {type: "date", onchange: () => date.value && jump(date.value)});
  const element = h("section", {class: "fill"}, heading("Timeline"),
    h("form", {class: "line", onsubmit: (event) => event.preventDefault()},
      h("label", null, "What ", choose), h("label", null, "Go to ", date),
      session && h("span", {class: "tag"}, `session ${session}`), h("span", {class: "quiet"}, `${number(days.total)} memories`)),
    days.total ? [bars(days.items, jump), shown.element] : h("p", {class: "quiet"}, "Nothing yet."));
  return {element, stop: shown.stop, ready: () => days.total && shown.element.focus()};
}

// The time from first to last in equal stretches, oldest at the left.
function bars(days, jump) {
  const first = Date.parse(days.at(-1).start), last = Date.parse(days[0].start) + 864e5;
  const step = Math.max(864e5, (last - first) / BARS), counts = Array(Math.ceil((last - first) / step)).fill(0);
  for (const one of days) counts[Math.floor((Date.parse(one.start) - first) / step)] += one.count;
  const most = Math.max(...counts);
  return h("div", {class: "bars", role: "group", "aria-label": "Memories over time"}, counts.map((count, place) => {
    const end = new Date(first + (place + 1) * step - 1).toISOString().slice(0, 10);
    const bar = h("button", {type: "button", title: `to ${end}: ${number(count)}`, "aria-label": `${number(count)} memories up to ${end}`,
      tabindex: count ? 0 : -1, onclick: () => jump(end)});
    bar.style.height = `${count ? Math.max(6, 100 * count / most) : 0}%`;
    return bar;
  }));
}
