// A memory in short, as several views show it.

import {h, minute} from "./dom.js";

export const NAMES = {source: "said", windows: "said together"};
export const named = (origin) => NAMES[origin] ?? origin;

// What recall may return.
export const living = (state) => ["generated", "activated", "frozen"].includes(state);

export const head = (one) => h("p", {class: "quiet"},
  minute(one.at), " ", h("strong", null, one.speaker ?? named(one.origin ?? "source")), " ",
  one.trust && one.trust !== "user" ? h("span", {class: "tag"}, `from: ${one.trust}`) : "", " ",
  one.state && !living(one.state) ? h("span", {class: "tag bad"}, one.state) : "",
  one.superseded_at ? h("span", {class: "tag"}, "superseded") : "");

export const card = (one, context, words = one.text, ...more) => h("article", {class: "card"},
  head(one), h("p", {class: "words"}, words), ...more,
  h("p", null, h("a", {href: context.link("memory", {id: one.id})}, "open"), " ",
    h("a", {href: context.link("graph", {id: one.id})}, "graph")));
