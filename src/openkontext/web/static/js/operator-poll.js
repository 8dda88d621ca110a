// Looking again and again: one request at a time, while the page is seen, less often while the server is away.

const PAUSE_MS = 2000;
const AWAY_MS = [2000, 4000, 8000, 15000];

/**
 * Call `look(signal)` every two seconds. `onAnswer(body)` hears what it resolves to; `onAway(error, seconds)`
 * that it failed and when it is tried again; `isFinal(error)` tells what is of no use to try again.
 * Returns `{now(), stop()}`: `now` looks at once, in place of a look under way.
 */
export function poll(look, { onAnswer, onAway, isFinal }) {
  let timer = null;
  let looking = null;
  let failures = 0;
  let isStopped = false;

  async function turn() {
    stopLooking();
    const mine = looking = new AbortController();
    try {
      const body = await look(mine.signal);
      if (mine.signal.aborted) return;
      failures = 0;
      onAnswer(body);
    } catch (error) {
      if (mine.signal.aborted) return;
      failures += 1;
      isStopped = isFinal(error);
      onAway(error, pause() / 1000);
    }
    looking = null;
    again();
  }

  const pause = () => (failures ? AWAY_MS[Math.min(failures, AWAY_MS.length) - 1] : PAUSE_MS);

  function again() {
    if (!isStopped && !document.hidden) timer = setTimeout(turn, pause());
  }

  function stopLooking() {
    clearTimeout(timer);
    looking?.abort();
    looking = null;
  }

  function now() {
    isStopped = false;
    turn();
  }

  function stop() {
    isStopped = true;
    stopLooking();
  }

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) stopLooking();
    else if (!isStopped) turn();
  });
  return { now, stop };
}
