// One memory: its words, its header, what happened to it, what it came of and what came of it, and its forms.

import {card, head, named} from "./cards.js";
import {call, get, patch, post, remove} from "./api.js";
import {ask, h, heading, minute, say} from "./dom.js";

export async function view(context) {
  const {user, query} = context, id = query.get("id") ?? "";
  const path = `/v1/memories/${encodeURIComponent(id)}`;
  const [one, history, around] = await Promise.all([
    get(path, {user}), get(`${path}/history`, {user}), get("/v1/relations", {user, id, limit: 120})]);
  const by = new Map(around.items.map((cube) => [cube.id, cube]));
  const side = (kinds, mine, theirs) => around.relations.filter((rel) => kinds(rel.kind) && rel[mine] === id).map((rel) => [rel, by.get(rel[theirs])]);
  const derived = (kind) => kind === "derived", linked = (kind) => kind !== "derived" && kind !== "replaced";
  const made = side(derived, "source", "target"), from = side(derived, "target", "source");
  const links = [...side(linked, "source", "target"), ...side(linked, "target", "source")];
  return {element: h("section", null, heading("Memory"), head(one), h("p", {class: "words card"}, one.text), actions(one, path, context),
    h("h2", null, "Header"), facts(one, context),
    h("h2", null, "History"), h("ol", {class: "plain"}, history.items.map((change) => h("li", {class: "card"},
      h("p", {class: "quiet"}, `${minute(change.at)} ${change.what}`), h("p", {class: "words"}, change.memory.text)))),
    h("h2", null, "Lineage"), group("Came of", from, context), group("What came of it", made, context),
    !from.length && !made.length && h("p", {class: "quiet"}, "Nothing came of it yet, and it comes of nothing else."),
    links.length > 0 && [h("h2", null, "Linked"), group("", links, context)],
    h("h2", null, "Forms"), forms(one, made.map(([, cube]) => cube)))};
}

const group = (title, pairs, context) => pairs.length > 0 && h("details", {open: pairs.length <= 6},
  h("summary", null, `${title} (${pairs.length})`),
  pairs.map(([rel, cube]) => card(cube, context, cube.text, h("p", {class: "quiet"}, `${named(cube.origin)}, ${rel.kind}`))));

// In which forms it is kept: as words, as what a model computed, as what a model absorbed.
function forms(one, made) {
  const count = (kind) => [one, ...made].filter((cube) => cube.kind === kind).length;
  const kinds = [["text", "words that a prompt can carry"], ["activation", "what a model has computed"], ["parameter", "what a model has absorbed"]];
  return h("dl", null, kinds.map(([kind, about]) => [h("dt", null, kind), h("dd", null, count(kind) ? `${count(kind)} of this and what came of it: ${about}` : "none")]));
}

function facts(one, {link}) {
  const until = (from, to) => `${minute(from)} to ${to ? minute(to) : "now"}`;
  const rows = [["id", one.id], ["made by", named(one.origin)], ["form", one.kind], ["state", one.state], ["trust", one.trust],
    ["role", one.role], ["true", until(one.valid_from, one.valid_to)], ["believed", until(one.recorded_at, one.superseded_at)],
    ["session", one.session && h("a", {href: link("timeline", {session: one.session})}, one.session)], ["agent", one.agent],
    ["source", one.source], ...Object.entries(one.meta).map(([name, value]) => [name, typeof value === "string" ? value : JSON.stringify(value)])];
  return h("dl", null, rows.filter(([, value]) => value).map(([name, value]) => [h("dt", {class: "quiet"}, name), h("dd", null, value)]));
}

function actions(one, path, context) {
  const {user} = context, episode = one.origin === "source", current = !one.superseded_at;
  const changeable = ["generated", "activated"].includes(one.state);
  const act = (what, done) => async () => {
    try {
      if (await what() !== false) { say(done); context.again(); }
    } catch (error) { context.fail(error); }
  };
  const button = (text, what, done, kind) => h("button", {type: "button", class: kind, onclick: act(what, done)}, text);
  const edit = async () => {
    const field = h("textarea", {rows: 5}, one.text);
    const text = await ask("A new version", [h("label", null, "Words ", field), h("p", {class: "quiet"}, "The old version stays and answers for its time.")], "Save", () => field.value.trim());
    if (!text) return false;
    const {ids} = await patch(path, {user, text});
    context.open("memory", {id: ids[0]});
    return undefined;
  };
  const destroy = async () => {
    const text = "All its versions and everything derived from it are destroyed, in the file too. This cannot be undone.";
    if (!await ask("Erase this memory?", h("p", null, text), "Erase", () => true, true)) return false;
    const receipt = await (await call("POST", `${path}/erase`, {query: {user}})).json();
    say(`Erased ${receipt.ids.length}; ${receipt.remnants} of the texts are left in the file.`);
    context.open("timeline");
    return false;
  };
  return h("p", {class: "row"},
    episode && current && changeable && button("Change…", edit, "Saved."),
    episode && current && changeable && button("Forget", () => remove(path, {user}), "Forgotten; it can be restored."),
    episode && one.state === "deleted" && button("Restore", () => post(`${path}/restore`, undefined, {user}), "Restored."),
    !episode && one.origin !== "windows" && button("Undo the last change", () => post(`${path}/undo`, undefined, {user}), "Undone."),
    episode && button("Erase…", destroy, "", "bad"),
    h("a", {href: context.link("graph", {id: one.id})}, "See it in the graph"));
}
