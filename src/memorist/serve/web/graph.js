// What is tied to what, drawn: memories around one, around a question's hits, or around the newest.

import {card, named} from "./cards.js";
import {get, post} from "./api.js";
import {h, heading} from "./dom.js";
import {settled} from "./layout.js";

const SEEDS = 8;

export async function view(context) {
  const {query} = context, text = query.get("q") ?? "";
  const field = h("input", {class: "wide", type: "search", value: text, "aria-label": "Around what", placeholder: "Around what? Empty: the newest"});
  const together = h("input", {type: "checkbox", checked: query.get("windows") !== "no"});
  const again = () => context.open("graph", {...(field.value ? {q: field.value} : {}), ...(together.checked ? {} : {windows: "no"})});
  const form = h("form", {class: "line", onsubmit: (event) => { event.preventDefault(); again(); }},
    field, h("button", {class: "main"}, "Draw"), h("label", null, together, " what was said together"));
  together.addEventListener("change", again);
  const seeds = await begin(context, text);
  const drawing = h("div", {class: "graph"});
  const element = h("section", {class: "fill"}, heading("Graph"), form, drawing);
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
  const nodes = around.items.filter(seen).map((one) => ({one, id: one.id, seed: seeds.includes(one.id)}));
  const by = new Map(nodes.map((node) => [node.id, node]));
  const edges = around.relations.filter((rel) => by.has(rel.source) && by.has(rel.target)).map((rel) => ({...rel, a: by.get(rel.source), b: by.get(rel.target)}));
  const size = settled(nodes, edges);
  const side = h("aside", {"aria-live": "polite"}, h("p", {class: "quiet"}, `${nodes.length} memories, ${edges.length} ties${around.more ? "; there are more" : ""}. Choose one.`), legend());
  const choose = (node) => {
    for (const other of nodes) other.drawn.setAttribute("aria-pressed", String(other === node));
    const ties = edges.filter((edge) => edge.a === node || edge.b === node);
    side.replaceChildren(card(node.one, context, node.one.text,
      h("p", {class: "quiet"}, named(node.one.origin))), h("h2", null, "Tied to"),
    h("ul", {class: "plain"}, ties.map((edge) => {
      const other = edge.a === node ? edge.b : edge.a;
      return h("li", null, h("button", {type: "button", onclick: () => { other.drawn.focus(); choose(other); }}, `${edge.kind}: ${other.one.text.slice(0, 60)}`));
    })));
  };
  for (const node of nodes) {
    const kind = node.one.origin === "source" ? "said" : node.one.origin === "windows" ? "windows" : "made";
    node.drawn = h("g", {class: kind, role: "button", tabindex: 0, "aria-pressed": "false", "aria-label": `${named(node.one.origin)}: ${node.one.text.slice(0, 120)}`,
      onclick: () => choose(node), onkeydown: (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); choose(node); } }},
    h("title", null, node.one.text.slice(0, 300)), h("circle", {cx: node.x, cy: node.y, r: kind === "windows" ? 5 : node.seed ? 11 : 8}),
    node.seed && h("text", {x: node.x + 14, y: node.y + 4}, node.one.text.slice(0, 32)));
  }
  const svg = h("svg", {viewBox: `0 0 ${size} ${size}`, role: "group", "aria-label": "Memories and their ties; Tab walks through them"},
    edges.map((edge) => h("line", {x1: edge.a.x, y1: edge.a.y, x2: edge.b.x, y2: edge.b.y}, h("title", null, edge.kind))), nodes.map((node) => node.drawn));
  moved(svg, size);
  drawing.replaceChildren(svg, side);
}

const legend = () => h("ul", {class: "plain quiet"}, h("li", null, "green: what was said"), h("li", null, "orange: what was derived"), h("li", null, "small grey: said together"));

// The wheel zooms, dragging the ground moves.
function moved(svg, size) {
  const box = {x: 0, y: 0, w: size};
  const set = () => svg.setAttribute("viewBox", `${box.x} ${box.y} ${box.w} ${box.w}`);
  svg.addEventListener("wheel", (event) => {
    event.preventDefault();
    const to = Math.min(size * 2, Math.max(size / 12, box.w * (event.deltaY > 0 ? 1.15 : 0.87)));
    box.x += (box.w - to) / 2;
    box.y += (box.w - to) / 2;
    box.w = to;
    set();
  }, {passive: false});
  svg.addEventListener("pointermove", (event) => {
    if (!event.buttons || event.target !== svg) return;
    const scale = box.w / Math.min(svg.clientWidth, svg.clientHeight);
    box.x -= event.movementX * scale;
    box.y -= event.movementY * scale;
    set();
  });
}
