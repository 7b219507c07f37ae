// Server-sent events of a response. EventSource can send neither a token nor a body.

/**
 * Yields the events as lists of those that came together; an empty list for a sign of life.
 * @param {Response} answer
 * @returns {AsyncGenerator<Record<string, string>[]>}
 */
export async function* eventsOf(answer) {
  if (!answer.body) return;
  let text = "";
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let chunk; !(chunk = await reader.read()).done;) {
    const blocks = (text + chunk.value).split("\n\n");
    text = blocks.pop() ?? ""; // not complete yet
    yield blocks.map(parse);
  }
}

/** @type {(block: string) => Record<string, string>} */
function parse(block) {
  return Object.fromEntries(
    block.split("\n").map((line) => [line.split(": ", 1)[0], line.slice(line.indexOf(": ") + 2)]),
  );
}
