// What is tied to what, drawn: memories around one, around a question's hits, or around the newest.

import {card, named} from "./cards.js";
import {get, post} from "./api.js";
import {h, heading} from "./dom.js";
import {drawn} from "./drawing.js";
import {facts} from "./facts.js";

const SEEDS = 8;

export async function view(context) {
  const {query} = context, text = query.get("q") ?? "";
  const field = h("input", {class: "wide", type: "search", value: text, "aria-label": "Around what", placeholder: "Around what? Empty: the newest"});
  const together = h("input", {type: "checkbox", checked: query.get("windows") !== "no"});
  const way = h("select", {"aria-label": "What is drawn"}, [["memories", "memories"], ["facts", "facts and phrases"]].map(([value, words]) => h("option", {value, selected: value === query.get("show")}, words)));
  const again = () => context.open("graph", {...(way.value === "facts" ? {show: "facts"} : {}), ...(field.value ? {q: field.value} : {}), ...(together.checked ? {} : {windows: "no"})});
  const form = h("form", {class: "line", onsubmit: (event) => { event.preventDefault(); again(); }},
    field, way, h("button", {class: "main"}, "Draw"), h("label", null, together, " what was said together"));
  together.addEventListener("change", again);
  way.addEventListener("change", again);
  const drawing = h("div", {class: "graph"});
  const element = h("section", {class: "fill"}, heading("Graph"), form, drawing);
  if (query.get("show") === "facts") {
    try {
      if (text) await facts(context, text, drawing);
      else drawing.replaceWith(h("p", {class: "quiet"}, "Ask something: facts are drawn around a question."));
    } catch (error) { drawing.replaceWith(h("p", {class: "bad", role: "alert"}, error.message)); }
    return {element, focus: text ? null : field};
  }
  const seeds = await begin(context, text);
  if (!seeds.length) {
    drawing.replaceWith(h("p", {class: "quiet"}, "Nothing to draw."));
    return {element};
  }
  await draw(context, drawing, seeds, together.checked);
  return {element};
}

async function begin({user, query}, text) {
  if (query.get("id")) return [query.get("id")];
  if (text) return (await post("/v1/search", {query: text, user, k: SEEDS})).hits.map((hit) => hit.id);
  return (await get("/v1/memories", {user, limit: SEEDS})).items.map((one) => one.id);
}

async function draw(context, drawing, seeds, together) {
  const around = await get("/v1/relations", {user: context.user, id: seeds, depth: 2, limit: 90});
  const seen = (one) => together || one.origin !== "windows";
  const nodes = around.items.filter(seen).map((one) => ({id: one.id, one, text: one.text, seed: seeds.includes(one.id),
    kind: one.origin === "source" ? "said" : one.origin === "windows" ? "windows" : "made", label: `${named(one.origin)}: ${one.text.slice(0, 120)}`}));
  const inside = new Set(nodes.map((node) => node.id)), ties = around.relations.filter((rel) => inside.has(rel.source) && inside.has(rel.target));
  const intro = [h("p", {class: "quiet"}, `${nodes.length} memories, ${ties.length} ties${around.more ? "; there are more" : ""}. Choose one.`), legend()];
  drawn(drawing, nodes, ties, intro, ({one}) => card(one, context, one.text, h("p", {class: "quiet"}, named(one.origin))));
}

const legend = () => h("ul", {class: "plain quiet"}, h("li", null, "green: what was said"), h("li", null, "orange: what was derived"), h("li", null, "small grey: said together"));
