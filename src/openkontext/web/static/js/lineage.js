// Which edit was made from which: the edits as trees.

/**
 * `[{edit, children}]`: each edit under the one whose output was its input, if that is among them. The branch in
 * which something happened last comes first, among siblings too.
 */
export function forest(edits) {
  const node = (edit) => ({ edit, children: [], latest: edit.createdAt ?? "" });
  const nodes = new Map(edits.map((edit) => [edit.id, node(edit)]));
  const roots = [];
  for (const node of nodes.values()) {
    const parent = nodes.get(node.edit.parentId);
    (parent ? parent.children : roots).push(node);
  }
  return ordered(roots);
}

// In place, from the leaves up. Moments in ISO 8601, all of UTC, sort as texts.
function ordered(nodes) {
  for (const node of nodes) {
    const [first] = ordered(node.children);
    if (first?.latest > node.latest) node.latest = first.latest;
  }
  return nodes.sort((one, other) => (one.latest < other.latest) - (one.latest > other.latest));
}
