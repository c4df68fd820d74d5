// The graph of facts around a question: the phrases that associative recall walks over, and the passages it reaches.

import {post} from "./api.js";
import {drawn} from "./drawing.js";
import {h} from "./dom.js";

const RELATIONS = {fact: "in one fact with", in: "in", like: "means the same as"};

export async function facts(context, text, drawing) {
  const found = await post("/v1/graph", {query: text, user: context.user});
  if (!found.nodes.length) return drawing.replaceWith(h("p", {class: "quiet"}, "No fact speaks to that."));
  const nodes = found.nodes.map((one) => ({id: one.number, one, text: one.name, seed: one.start || one.kind === "passage",
    kind: one.kind === "passage" ? "said" : one.start ? "made" : "windows", label: `${one.kind}: ${one.name.slice(0, 120)}`}));
  const intro = [h("p", {class: "quiet"}, `${nodes.length} phrases and passages, ${found.edges.length} ties. Choose one.`),
    h("ul", {class: "plain quiet"}, h("li", null, "green: passages"), h("li", null, "orange: phrases where the walk starts"), h("li", null, "small grey: further phrases")),
    found.facts.length > 0 && [h("h2", null, "It starts from"), h("ul", {class: "plain"}, found.facts.map((fact) => h("li", {class: "words"}, fact)))]];
  const about = ({one}) => h("article", {class: "card"}, h("p", {class: "quiet"}, one.kind), h("p", {class: "words"}, one.name),
    one.id && h("p", null, h("a", {href: context.link("memory", {id: one.id})}, "open")));
  return drawn(drawing, nodes, found.edges.map((edge) => ({...edge, kind: RELATIONS[edge.relation]})), intro, about);
}
