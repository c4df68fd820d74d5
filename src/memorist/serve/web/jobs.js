// The work that waits.

import {get, post, remove} from "./api.js";
import {h, heading, minute, say, scroll} from "./dom.js";

export async function view(context) {
  const {items} = await get("/v1/jobs", {user: context.user});
  const act = (work, done) => async () => {
    try {
      await work();
      say(done);
      context.again();
    } catch (error) { context.fail(error); }
  };
  const row = (job) => h("tr", null, h("td", {class: "number"}, job.number), h("td", null, job.kind),
    h("td", null, job.state, job.not_before && ` until ${minute(job.not_before)}`), h("td", {class: "number"}, job.memories),
    h("td", {class: "number"}, job.attempts), h("td", {class: "words"}, job.reason ?? ""),
    h("td", null, h("button", {type: "button", onclick: act(() => post(`/v1/jobs/${job.number}/retry`, undefined, {user: context.user}), "It is tried again.")}, `Retry ${job.number}`), " ",
      job.kind !== "index" && h("button", {type: "button", class: "bad", onclick: act(() => remove(`/v1/jobs/${job.number}`, {user: context.user}), "Dropped.")}, `Drop ${job.number}`)));
  const names = ["job", "kind", "state", "memories", "tries", "why it failed", "do"];
  return {element: h("section", null, heading("Jobs"),
    h("p", {class: "row"}, h("button", {type: "button", onclick: context.again}, "Look again")),
    items.length ? scroll("Jobs", h("table", null, h("thead", null, h("tr", null, names.map((name) => h("th", {scope: "col"}, name)))), h("tbody", null, items.map(row))))
      : h("p", null, "Nothing waits."))};
}
