// What benchmarks measured: the reports of the folder that the server was given.

import {get, save} from "./api.js";
import {h, heading, number, scroll} from "./dom.js";

export async function view(context) {
  const {query, link} = context, name = query.get("name");
  if (name) return {element: await report(name, link)};
  const {items} = await get("/v1/reports");
  const keep = (one) => h("button", {type: "button", onclick: () => save(`/v1/reports/${encodeURIComponent(one.name)}`, {}, one.name).catch(context.fail)}, `Keep ${one.name}`);
  return {element: h("section", null, heading("Bench reports"), items.length
    ? h("ul", null, items.map((one) => h("li", null, one.name.endsWith(".json") ? h("a", {href: link("reports", {name: one.name})}, one.name) : keep(one), h("span", {class: "quiet"}, ` ${number(one.bytes)} bytes`))))
    : h("p", null, "None. Start the server with --reports and a folder of what memorist bench --json wrote."))};
}

async function report(name, link) {
  const made = await get(`/v1/reports/${encodeURIComponent(name)}`);
  const about = [["command", made.command], ["embedder", made.embedder], ["version", made.version]].filter(([, value]) => value);
  const suites = [...new Set(made.rows.map((row) => row.suite ?? made.suite))];
  return h("section", null, heading(name), h("p", null, h("a", {href: link("reports")}, "All reports")),
    h("dl", null, about.map(([what, value]) => [h("dt", null, what), h("dd", null, h("code", null, String(value)))])),
    suites.map((suite) => [h("h2", null, suite), table(suite, made.rows.filter((row) => (row.suite ?? made.suite) === suite))]));
}

// A line for each system and budget, a column for each metric, of all questions together.
function table(suite, rows) {
  const whole = rows.filter((row) => (row.category ?? "all") === "all");
  const metrics = [...new Set(whole.map((row) => row.metric))];
  const line = (row) => [row.recipe ?? row.system ?? "", row.budget || row.size || ""].join("\t");
  const lines = new Map();
  for (const row of whole) lines.set(line(row), {...lines.get(line(row)), [row.metric]: row.value});
  const cell = (value) => h("td", {class: "number"}, typeof value === "number" ? value.toLocaleString("en", {maximumSignificantDigits: 3}) : value ?? "");
  const heads = ["recipe", "budget or size", ...metrics.map((metric) => metric.replaceAll("_", " "))];
  return scroll(suite, h("table", null, h("thead", null, h("tr", null, heads.map((one) => h("th", {scope: "col"}, one)))),
    h("tbody", null, [...lines].map(([key, values]) => h("tr", null, key.split("\t").map((one) => h("td", null, one)), metrics.map((metric) => cell(values[metric])))))));
}
