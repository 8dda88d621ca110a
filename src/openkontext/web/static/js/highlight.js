// Comments and strings in a program, told apart from the rest: enough to read by.

import { h } from "./dom.js";

const STRING = String.raw`"(?:\\.|[^"\\])*"`;
const SYNTAXES = {
  shell: String.raw`(?<comment>^#.*)|(?<string>${STRING}|'[^']*')`,
  python: String.raw`(?<comment>^#.*|^ +#.*)|(?<string>f?${STRING})`,
  c: String.raw`(?<comment>^[ \t]*//.*)|(?<string>${STRING}|${"`[^`]*`"})`,
};

/** The nodes of `text`: their texts together are `text`. `syntax` is shell, python or c. */
export function highlight(text, syntax) {
  const nodes = [];
  let end = 0;
  for (const match of text.matchAll(new RegExp(SYNTAXES[syntax], "gm"))) {
    const kind = match.groups.comment ? "comment" : "string";
    nodes.push(text.slice(end, match.index), h("span", { class: kind }, match[0]));
    end = match.index + match[0].length;
  }
  return [...nodes, text.slice(end)];
}
