// Who answers the Lab: the planner of the server, or, on a page without one, a table of its answers.

/** server: the panel's functions. An answer that is no forecast is {error: sentence}. */
export function serverPlanner(server) {
  return {
    movable: null, // every slider
    ask: (question) => server.plan(question),
  };
}

/**
 * fetchTable(preset) -> a table of `app.lab.table`. Settings that are no axis of it cannot be moved;
 * the others go to the nearest value that it has.
 */
export function tablePlanner(fetchTable, movable) {
  const tables = new Map();
  return {
    movable,
    async ask({ preset, changes }) {
      if (!tables.has(preset)) tables.set(preset, fetchTable(preset));
      try {
        return answerOf(await tables.get(preset), changes);
      } catch (error) {
        tables.delete(preset);
        throw error;
      }
    },
  };
}

/** The answer of the place on the grid that is nearest to the changes, and the changes there. */
export function answerOf({ kind, about, axes, answers }, changes) {
  let at = 0;
  const taken = {};
  for (const [name, values] of Object.entries(axes)) {
    const place = nearest(values, changes[name]);
    at = at * values.length + place;
    if (name in changes && values[place] !== null) taken[name] = values[place];
  }
  return { kind, about, ...answers[at], changes: taken };
}

/** null in an axis is the preset's own value; without one, the first is. */
function nearest(values, wanted) {
  if (wanted === undefined) return 0;
  if (values.includes(wanted) || typeof wanted !== "number") return Math.max(0, values.indexOf(wanted));
  const apart = values.map((value) => (value === null ? Infinity : Math.abs(Math.log((value + 0.01) / (wanted + 0.01)))));
  return apart.indexOf(Math.min(...apart));
}
