// The frame around the views: where we are, whose memory it is, keys of the keyboard and of the server.

import {get, key, locked} from "./api.js";
import {ask, h, heading, say} from "./dom.js";
import * as conflicts from "./conflicts.js";
import * as forgotten from "./forgotten.js";
import * as graph from "./graph.js";
import * as jobs from "./jobs.js";
import * as known from "./known.js";
import * as memory from "./memory.js";
import * as reports from "./reports.js";
import * as search from "./search.js";
import * as timeline from "./timeline.js";

const VIEWS = {search, timeline, graph, known, forgotten, conflicts, jobs, reports, memory};
const LETTERS = {s: "search", t: "timeline", g: "graph", w: "known", f: "forgotten", c: "conflicts", j: "jobs", b: "reports"};
const TITLES = {search: "Search", timeline: "Timeline", graph: "Graph", known: "What is known", forgotten: "Forgotten", conflicts: "Conflicts",
  jobs: "Jobs", reports: "Bench reports"};
const THEMES = ["system", "light", "dark"];

const $ = (id) => document.getElementById(id);
let opened = null, turn = 0;

// The place is in the address: #/view?name=value, so that Back, bookmarks and reloading work.
function place() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  return {view: path in VIEWS ? path : "search", query: new URLSearchParams(query)};
}

export function link(view, more = {}) {
  const user = $("user").value;
  const query = new URLSearchParams({...(user ? {user} : {}), ...more});
  return `#/${view}${query.size ? `?${query}` : ""}`;
}

async function show() {
  const mine = ++turn, {view, query} = place();
  $("user").value = query.get("user") ?? "";
  for (const one of $("nav").children) {
    one.href = link(one.dataset.view);
    if (one.dataset.view === view) one.setAttribute("aria-current", "page");
    else one.removeAttribute("aria-current");
  }
  opened?.stop?.();
  opened = null;
  $("view").replaceChildren(h("p", {class: "quiet"}, "…"));
  const context = {user: $("user").value, query, link, open: (name, more) => { location.hash = link(name, more); }, again: show, fail};
  let made;
  try {
    made = await VIEWS[view].view(context);
  } catch (error) {
    made = {element: h("section", null, heading(TITLES[view] ?? "Memory"), h("p", {class: "bad", role: "alert"}, error.message))};
  }
  if (mine !== turn) return made.stop?.(); // another place was opened meanwhile
  opened = made;
  $("view").replaceChildren(made.element);
  document.title = `${$("view").querySelector("h1")?.textContent ?? "Memorist"} · Memorist`;
  (made.focus ?? $("view").querySelector("h1"))?.focus();
  made.ready?.();
}

const fail = (error) => say(error.message);

async function users() {
  try {
    const {items} = await get("/v1/scopes");
    $("users").replaceChildren(...items.map((one) => h("option", {value: one.user})));
    const caller = await get("/v1/caller");
    const only = caller.user || (items.length === 1 ? items[0].user : "");
    $("user").disabled = Boolean(caller.user);
    const {view, query} = place();
    if (only && !query.get("user")) {
      $("user").value = only;
      history.replaceState(null, "", link(view, Object.fromEntries(query)));
    }
  } catch (error) {
    if (error.status !== 401) fail(error);
  }
}

let asking = false;
async function unlock() {
  if (asking) return;
  asking = true;
  const field = h("input", {type: "password", autocomplete: "off", autofocus: true});
  const text = "It is kept for this tab alone, until the tab is closed. Made by: memorist keys create";
  const given = await ask("API key", [h("label", null, "Key ", field), h("p", {class: "quiet"}, text)], "Use it", () => field.value.trim());
  asking = false;
  if (given === null) return;
  key.set(given);
  await users();
  show();
}

function theme(next) {
  if (next === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = next;
  localStorage.setItem("memorist-theme", next);
  $("theme").textContent = `Theme: ${next}`;
}

function help() {
  const rows = [["/", "search"], ...Object.entries(LETTERS).map(([letter, view]) => [`g ${letter}`, TITLES[view].toLowerCase()]),
    ["u", "choose the user"], ["↑ ↓, j k, Page, Home, End", "move in a list"], ["Enter", "open"], ["?", "this help"]];
  ask("Keys", h("dl", null, rows.map(([keys, what]) => [h("dt", null, h("kbd", null, keys)), h("dd", null, what)])), "");
}

let gone = -Infinity; // when g was pressed: the next letter names a view
function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (event.target.closest("input, textarea, select")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const went = performance.now() - gone < 1500 && LETTERS[event.key];
  gone = event.key === "g" && !went ? performance.now() : -Infinity;
  if (went) location.hash = link(went);
  else if (event.key === "/") place().view === "search" ? $("view").querySelector("input")?.focus() : (location.hash = link("search"));
  else if (event.key === "?") help();
  else if (event.key === "u") $("user").focus();
  else return;
  event.preventDefault();
  event.stopPropagation();
}

$("nav").append(...Object.entries(TITLES).map(([view, title]) => h("a", {"data-view": view, href: link(view)}, title)));
$("user").addEventListener("change", () => { location.hash = link(place().view === "memory" ? "search" : place().view); });
$("key").addEventListener("click", unlock);
$("help").addEventListener("click", help);
$("theme").addEventListener("click", () => theme(THEMES[(THEMES.indexOf(localStorage.getItem("memorist-theme") ?? "system") + 1) % 3]));
document.querySelector(".skip").addEventListener("click", (event) => { event.preventDefault(); $("view").focus(); });
document.addEventListener("keydown", pressed, true);
addEventListener("hashchange", show);
locked.tell = unlock;
theme(localStorage.getItem("memorist-theme") ?? "system");
users().then(show);
