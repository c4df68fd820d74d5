// Which part of a text to show as found.

import {h} from "./dom.js";

const SHORT = 3;
const COMMON = new Set("the and for with what when where who how does did was were are has have that this from about".split(" "));

// The text with the words of a question marked, by their beginnings: "moved" in a question finds "move".
export function found(text, question) {
  const stems = [...new Set((question.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []))]
    .filter((word) => word.length >= SHORT && !COMMON.has(word)).map((word) => word.slice(0, Math.max(SHORT, word.length - 2)));
  const parts = text.split(/([\p{L}\p{N}]+)/u);
  return parts.map((part) => stems.some((stem) => part.toLowerCase().startsWith(stem)) ? h("mark", null, part) : part);
}

// The text with the sentences that an answer rests on marked.
export function evidence(text, sentences) {
  const spans = sentences.map((one) => [text.indexOf(one), one.length]).filter(([start]) => start >= 0).sort((a, b) => a[0] - b[0]);
  const made = [];
  let end = 0;
  for (const [start, length] of spans) {
    if (start < end) continue;
    made.push(text.slice(end, start), h("mark", {class: "evidence"}, text.slice(start, start + length)));
    end = start + length;
  }
  return [...made, text.slice(end)];
}
