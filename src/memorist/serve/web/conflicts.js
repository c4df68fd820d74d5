// Facts that cannot all be true: somebody says which one stands.

import {card} from "./cards.js";
import {get, post} from "./api.js";
import {ask, day, h, heading, say} from "./dom.js";

export async function view(context) {
  const {items} = await get("/v1/conflicts", {user: context.user});
  return {element: h("section", null, heading("Conflicts"),
    h("p", {class: "quiet"}, "None of these may replace another by itself. Keeping one takes the others back; what was said stays."),
    items.length ? items.map((one) => conflict(one, context)) : h("p", null, "No conflicts."))};
}

const conflict = (one, context) => h("article", {class: "card", "aria-label": `${one.subject}, ${one.relation}`},
  h("h2", null, `${one.subject}: ${one.relation}`),
  one.facts.map((fact) => card(fact, context, fact.text, h("p", {class: "quiet"}, `since ${day(fact.valid_from)}, trust: ${fact.trust}`),
    h("button", {type: "button", class: "main", onclick: () => keep(fact, one.facts, context)}, "This one is right"))));

async function keep(fact, facts, context) {
  const others = facts.filter((other) => other.id !== fact.id);
  const told = [h("p", null, "Taken back:"), h("ul", null, others.map((other) => h("li", {class: "words"}, other.text)))];
  if (!await ask("Keep one", told, "Keep it")) return;
  try {
    for (const other of others) await post(`/v1/memories/${encodeURIComponent(other.id)}/undo`, undefined, {user: context.user});
    say("Decided.");
    context.again();
  } catch (error) {
    context.fail(error);
  }
}
