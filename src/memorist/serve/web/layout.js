// Places for the nodes of a small graph: ties pull, all others push (Fruchterman and Reingold 1991), always the same way.

const ROUNDS = 220;

// Gives every node x and y within a square, and returns the square's side.
export function settled(nodes, edges) {
  const size = Math.max(420, Math.sqrt(nodes.length) * 95), wish = size / Math.sqrt(nodes.length + 1) * 0.35;
  nodes.forEach((node, place) => { // begin on a spiral: no randomness, no two in one place
    const angle = place * 2.4, far = size * 0.42 * Math.sqrt((place + 0.5) / nodes.length);
    node.x = size / 2 + far * Math.cos(angle);
    node.y = size / 2 + far * Math.sin(angle);
  });
  for (let round = 0; round < ROUNDS; round++) {
    const most = size * 0.08 * (1 - round / ROUNDS) + 0.3;
    for (const node of nodes) node.dx = (size / 2 - node.x) * 0.35, node.dy = (size / 2 - node.y) * 0.35;
    for (let i = 0; i < nodes.length; i++) {
      for (let j = i + 1; j < nodes.length; j++) push(nodes[i], nodes[j], (far) => wish * wish / far);
    }
    for (const edge of edges) push(edge.a, edge.b, (far) => -far * far / wish);
    for (const node of nodes) {
      const length = Math.hypot(node.dx, node.dy) || 1, step = Math.min(length, most);
      node.x = Math.min(size - 130, Math.max(20, node.x + node.dx / length * step));
      node.y = Math.min(size - 20, Math.max(20, node.y + node.dy / length * step));
    }
  }
  return size;
}

function push(a, b, force) {
  const x = a.x - b.x, y = a.y - b.y, far = Math.max(1, Math.hypot(x, y)), strength = force(far) / far;
  a.dx += x * strength;
  a.dy += y * strength;
  b.dx -= x * strength;
  b.dy -= y * strength;
}
