// The server, asked with the key of this tab. The key is kept for the session of the tab and nowhere else.

const KEY = "memorist-key";

export const key = {
  get: () => sessionStorage.getItem(KEY) ?? "",
  set: (value) => value ? sessionStorage.setItem(KEY, value) : sessionStorage.removeItem(KEY),
};

export class Problem extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

// Whoever is told when a key is needed; set by main.js.
export const locked = {tell: () => {}};

export async function call(method, path, {query = {}, body, signal} = {}) {
  const url = new URL(path, location.origin);
  for (const [name, value] of Object.entries(query)) {
    for (const one of [value].flat()) if (one !== "" && one !== null && one !== undefined) url.searchParams.append(name, one);
  }
  const headers = {}, mine = key.get();
  if (mine) headers.Authorization = `Bearer ${mine}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(url, {method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body)});
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, "The server does not answer.");
  }
  if (!response.ok) {
    const told = await response.json().catch(() => ({}));
    if (response.status === 401 && mine === key.get()) locked.tell(); // not for a call older than the key given since
    throw new Problem(response.status, told.detail ?? `The server answered ${response.status}.`);
  }
  return response;
}

const json = async (method, path, more) => {
  const response = await call(method, path, more);
  return response.status === 204 ? null : response.json();
};

export const get = (path, query, signal) => json("GET", path, {query, signal});
export const post = (path, body, query) => json("POST", path, {body, query});
export const patch = (path, body) => json("PATCH", path, {body});
export const remove = (path, query) => json("DELETE", path, {query});

// Server-sent events of an answer, each as [name, data].
export async function* events(path, body, signal) {
  const reader = (await call("POST", path, {body, signal})).body.pipeThrough(new TextDecoderStream()).getReader();
  let come = "";
  for (;;) {
    const {done, value} = await reader.read();
    if (done) return;
    const whole = (come + value).split("\n\n");
    come = whole.pop();
    for (const one of whole) {
      const lines = one.split("\n").map((line) => line.split(/: (.*)/s, 2));
      const {event, data} = Object.fromEntries(lines);
      if (data) yield [event, JSON.parse(data)];
    }
  }
}

// Keep what a path answers as a file.
export async function save(path, query, name) {
  const blob = await (await call("GET", path, {query})).blob();
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
