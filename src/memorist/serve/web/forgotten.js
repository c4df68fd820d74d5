// What was forgotten: hidden from recall, kept with its history, and brought back by one button.

import {card} from "./cards.js";
import {get, post} from "./api.js";
import {h, heading, number, say} from "./dom.js";

const SHOWN = 50;

export async function view(context) {
  const {user, query, link} = context, skip = Math.max(0, Number.parseInt(query.get("skip") ?? "0", 10) || 0);
  const {items, total} = await get("/v1/forgotten", {user, skip, limit: SHOWN});
  const restore = (one) => async () => {
    try {
      await post(`/v1/memories/${encodeURIComponent(one.id)}/restore`, undefined, {user});
      say("Restored.");
      context.again();
    } catch (error) { context.fail(error); }
  };
  const turn = (title, to) => h("a", {href: link("forgotten", {skip: to})}, title);
  return {element: h("section", null, heading("Forgotten"),
    h("p", {class: "quiet"}, total ? `${number(total)} hidden from recall, newest first. Each is kept with its history until it is erased.` : "Nothing is forgotten. What you forget is kept here, and can be restored."),
    items.map((one) => card(one, context, one.text, h("p", null, h("button", {type: "button", onclick: restore(one), "aria-label": `Restore: ${one.text.slice(0, 80)}`}, "Restore")))),
    h("p", {class: "row"}, skip > 0 && turn("Newer", Math.max(0, skip - SHOWN)), skip + SHOWN < total && turn("Older", skip + SHOWN)))};
}
