// A graph as a picture beside what is chosen in it; Tab walks through the nodes, the wheel zooms, dragging moves.

import {h} from "./dom.js";
import {settled} from "./layout.js";

// Nodes are {id, text, kind, seed, label}, edges {source, target, kind}; `about(node)` is what stands beside a chosen one.
export function drawn(drawing, nodes, relations, intro, about) {
  const by = new Map(nodes.map((node) => [node.id, node]));
  const edges = relations.filter((rel) => by.has(rel.source) && by.has(rel.target)).map((rel) => ({...rel, a: by.get(rel.source), b: by.get(rel.target)}));
  const size = settled(nodes, edges);
  const side = h("aside", {"aria-live": "polite"}, intro);
  const choose = (node) => {
    for (const other of nodes) other.drawn.setAttribute("aria-pressed", String(other === node));
    const ties = edges.filter((edge) => edge.a === node || edge.b === node);
    side.replaceChildren(about(node), h("h2", null, "Tied to"), h("ul", {class: "plain"}, ties.map((edge) => {
      const other = edge.a === node ? edge.b : edge.a;
      return h("li", null, h("button", {type: "button", onclick: () => { other.drawn.focus(); choose(other); }}, `${edge.kind}: ${other.text.slice(0, 60)}`));
    })));
  };
  for (const node of nodes) {
    node.drawn = h("g", {class: node.kind, role: "button", tabindex: 0, "aria-pressed": "false", "aria-label": node.label,
      onclick: () => choose(node), onkeydown: (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); choose(node); } }},
    h("title", null, node.text.slice(0, 300)), h("circle", {cx: node.x, cy: node.y, r: node.kind === "windows" ? 5 : node.seed ? 11 : 8}),
    node.seed && h("text", {x: node.x + 14, y: node.y + 4}, node.text.slice(0, 32)));
  }
  const svg = h("svg", {viewBox: `0 0 ${size} ${size}`, role: "group", "aria-label": "A graph; Tab walks through it"},
    edges.map((edge) => h("line", {x1: edge.a.x, y1: edge.a.y, x2: edge.b.x, y2: edge.b.y}, h("title", null, edge.kind))), nodes.map((node) => node.drawn));
  moved(svg, size);
  drawing.replaceChildren(svg, side);
}

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
