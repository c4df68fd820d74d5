// Elements from data. Text only ever becomes text: nothing here, or in a file that uses it, parses markup.

const SVG = "http://www.w3.org/2000/svg";
const DRAWN = new Set(["svg", "g", "line", "circle", "text", "title"]);

// h("p", {class: "quiet", onclick: f}, "words", child, [more]) is an element.
export function h(tag, properties, ...children) {
  const made = DRAWN.has(tag) ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "value") made.value = value;
    else made.setAttribute(name, value === true ? "" : String(value));
  }
  made.append(...children.flat(Infinity).filter((one) => one !== null && one !== undefined && one !== false));
  return made;
}

const status = () => document.getElementById("status");
let fading = 0;

// Tell the user, and a screen reader, in passing.
export function say(text) {
  clearTimeout(fading);
  status().textContent = text;
  fading = setTimeout(() => { status().textContent = ""; }, 6000);
}

export const number = (value) => value.toLocaleString("en");
export const day = (moment) => (moment ?? "").slice(0, 10);
export const minute = (moment) => (moment ?? "").slice(0, 16).replace("T", " ");

// A heading that takes the focus when a view opens.
export const heading = (text) => h("h1", {tabindex: -1}, text);

// What may be wider than the page: moved by the keyboard, too.
export const scroll = (label, content) => h("div", {class: "scroll", tabindex: 0, role: "region", "aria-label": label}, content);

// A modal dialog; the promise is what `read` makes of it, or null when it was closed.
export function ask(title, content, action, read = () => true, danger = false) {
  return new Promise((done) => {
    let result = null;
    const accept = (event) => {
      event.preventDefault();
      result = read();
      box.close();
    };
    const box = h("dialog", {"aria-label": title, onclose: () => { box.remove(); done(result); }},
      h("form", {onsubmit: accept}, h("h2", null, title), content,
        h("p", {class: "row"},
          action && h("button", {class: danger ? "bad" : "main"}, action),
          h("button", {type: "button", onclick: () => box.close()}, action ? "Cancel" : "Close"))));
    document.body.append(box);
    box.showModal();
  });
}
