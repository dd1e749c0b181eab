// What the tests want to know of a run, and where they hold it. It is in memory: an app that is killed forgets.

const executions = new Map();

/** book notes every execution of a body: of the function itself, and of each step. */
export const book = {
  add(run, body, attempt) {
    executions.set(run, [...this.of(run), { body, attempt, at: Date.now() }]);
  },
  of(run) {
    return executions.get(run) ?? [];
  },
};

const doors = new Map();

function door(gate) {
  if (!doors.has(gate)) {
    doors.set(gate, withResolvers());
  }
  return doors.get(gate);
}

// Promise.withResolvers, which Node 20 does not have.
function withResolvers() {
  const result = {};
  result.promise = new Promise((resolve) => {
    result.resolve = resolve;
  });
  return result;
}

/** gates hold a body until a test opens them. A gate that is open stays open. */
export const gates = {
  pass: (gate) => door(gate).promise,
  open: (gate) => door(gate).resolve(),
};
