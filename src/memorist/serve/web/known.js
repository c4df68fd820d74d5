// What is known about a user: how much of what, what was derived, and the ways to take it along or destroy it.

import {card, living, named} from "./cards.js";
import {get, post, save} from "./api.js";
import {ask, day, h, heading, number, say} from "./dom.js";

const SHOWN = 12;

export async function view(context) {
  const {user, link} = context;
  const [parts, days] = await Promise.all([get("/v1/parts", {user}), get("/v1/days", {user})]);
  const derived = [...new Set(parts.items.filter((one) => !["source", "windows"].includes(one.origin) && living(one.state)).map((one) => one.origin))];
  const lists = await Promise.all(derived.map((origin) => get("/v1/memories", {user, origin, limit: SHOWN})));
  const name = user || "the unnamed user";
  const row = (one) => h("tr", null, h("td", null, h("a", {href: one.state === "deleted" ? link("forgotten") : link("timeline", {origin: one.origin})}, named(one.origin))), h("td", null, one.kind), h("td", null, one.state), h("td", {class: "number"}, number(one.count)));
  const columns = ["made by", "form", "state", "how many"];
  return {element: h("section", null, heading(`What is known about ${name}`),
    parts.items.length === 0 ? h("p", null, "Nothing.") : [
      h("p", null, days.total ? `${number(days.total)} memories from ${day(days.items.at(-1).start)} to ${day(days.items[0].start)}.` : "No memory is current."),
      h("p", {class: "row"}, h("button", {type: "button", class: "main", onclick: () => taken(context)}, "Export"),
        h("button", {type: "button", class: "bad", onclick: () => destroyed(context, name)}, "Delete everything…")),
      h("table", null, h("thead", null, h("tr", null, columns.map((one) => h("th", {scope: "col"}, one)))), h("tbody", null, parts.items.map(row))),
      derived.map((origin, place) => [h("h2", null, `Derived: ${named(origin)}`), lists[place].items.map((one) => card(one, context, one.text || JSON.stringify(one.meta)))])])};
}

async function taken(context) {
  try {
    await save("/v1/export", {user: context.user}, "memory.jsonl");
    say("Exported.");
  } catch (error) { context.fail(error); }
}

async function destroyed(context, name) {
  const field = h("input", {autocomplete: "off", autofocus: true});
  const told = [h("p", null, `Everything of ${name} is destroyed: all versions, all that was derived, and the bytes in the file. Exports and backups elsewhere stay. This cannot be undone.`),
    h("label", null, `Write the name (${context.user || "leave it empty"}) `, field)];
  const confirm = await ask("Delete everything?", told, "Delete everything", () => field.value, true);
  if (confirm === null) return;
  try {
    const receipt = await post("/v1/erase/all", {user: context.user, confirm});
    say(`${number(receipt.ids.length)} erased; ${receipt.remnants} of the texts are left in the file.`);
    context.again();
  } catch (error) { context.fail(error); }
}
