// Search and ask, with the evidence marked.

import {card} from "./cards.js";
import {events, post, Problem} from "./api.js";
import {ask as dialog, h, heading, say} from "./dom.js";
import {evidence, found} from "./words.js";

export async function view(context) {
  const {query} = context;
  const text = query.get("q") ?? "", mode = query.get("mode") ?? "search";
  const field = h("input", {class: "wide", type: "search", name: "q", value: text, "aria-label": "Question",
    placeholder: "Where does Ana live?", "aria-keyshortcuts": "/"});
  const more = h("details", {open: Boolean(query.get("as_of") || query.get("speaker"))}, h("summary", null, "Narrow"),
    h("p", {class: "row"},
      h("label", null, "True at ", h("input", {type: "date", name: "as_of", value: query.get("as_of") ?? ""})),
      h("label", null, "Said by ", h("input", {name: "speaker", value: query.get("speaker") ?? ""}))));
  const send = (event) => {
    event.preventDefault();
    const given = Object.fromEntries([...new FormData(form)].filter(([, value]) => value));
    context.open("search", {...given, mode: event.submitter?.value ?? "search"});
  };
  const form = h("form", {class: "line", role: "search", onsubmit: send}, field,
    h("button", {class: "main", value: "search"}, "Search"), h("button", {value: "ask"}, "Ask"),
    h("button", {type: "button", onclick: () => remember(context)}, "Remember…"), more);
  const results = h("div", {"aria-live": "polite"});
  if (text && mode !== "ask") await searched(context, text, results);
  const leaving = new AbortController();
  const ready = () => text && mode === "ask" && answered(context, text, results, leaving.signal);
  return {element: h("section", null, heading("Search"), form, results), focus: field, ready, stop: () => leaving.abort()};
}

const where = (query) => query.get("speaker") ? {speaker: query.get("speaker")} : null;

async function searched({user, query, link}, text, results) {
  const {hits, unheard} = await post("/v1/search", {query: text, user, k: 30, where: where(query), as_of: query.get("as_of")});
  if (unheard.length) results.append(h("p", {class: "quiet"}, `Never heard of here: ${unheard.join(", ")}`));
  results.append(h("p", {class: "quiet"}, hits.length ? `${hits.length} memories, best first` : "Nothing found."));
  results.append(...hits.map((hit) => card(hit, {link}, found(hit.text, text), reasons(hit))));
}

const reasons = (hit) => h("details", null, h("summary", null, `score ${hit.score.toFixed(3)}`),
  h("dl", null, Object.entries(hit.why).map(([name, value]) => [h("dt", null, name), h("dd", null, String(value))])));

// The words as they are written, then all of it, checked and cited.
async function answered(context, text, results, signal) {
  const words = h("p", {class: "words"}), told = h("p", {class: "quiet"}, "Reading what is remembered…");
  results.setAttribute("aria-busy", "true"); // a screen reader waits for the end
  results.replaceChildren(h("article", {class: "card"}, h("h2", null, "Answer"), words, told));
  try {
    const asked = {question: text, user: context.user, where: where(context.query)};
    for await (const [name, data] of events("/v1/ask/stream", asked, signal)) {
      if (name === "text") { words.append(data.text); told.textContent = "writing…"; }
      if (name === "answer") shown(context, text, results, data);
      if (name === "problem") throw new Problem(data.status, data.detail);
    }
  } catch (error) {
    if (error.name !== "AbortError") results.replaceChildren(h("p", {class: "bad", role: "alert"}, error.message));
  } finally {
    results.removeAttribute("aria-busy");
  }
}

function shown({link}, text, results, answer) {
  results.removeAttribute("aria-busy");
  results.replaceChildren();
  const cited = Map.groupBy(answer.citations, (one) => one.id);
  results.append(
    h("article", {class: "card"}, h("h2", null, answer.known ? "Answer" : "Not known"), h("p", {class: "words"}, answer.text),
      h("p", {class: "quiet"}, "confidence ", h("meter", {min: 0, max: 1, value: answer.confidence, "aria-label": "confidence"}),
        ` ${answer.confidence.toFixed(2)}, ${answer.method}`), answer.problem && h("p", {class: "bad"}, answer.problem)));
  const evident = answer.hits.filter((hit) => cited.has(hit.id)), rest = answer.hits.filter((hit) => !cited.has(hit.id));
  if (evident.length) results.append(h("h2", null, "Evidence"));
  results.append(...evident.map((hit) => card(hit, {link}, evidence(hit.text, cited.get(hit.id).map((one) => one.text)))));
  if (rest.length) results.append(h("details", null, h("summary", null, `${rest.length} further memories that were read`),
    rest.map((hit) => card(hit, {link}, found(hit.text, text)))));
}

async function remember(context) {
  const field = h("textarea", {rows: 4, autofocus: true});
  const text = await dialog("Remember", h("label", null, "What was said ", field), "Remember", () => field.value.trim());
  if (!text) return;
  try {
    await post("/v1/memories", {content: text, user: context.user});
    say("Remembered.");
    context.again();
  } catch (error) {
    context.fail(error);
  }
}
