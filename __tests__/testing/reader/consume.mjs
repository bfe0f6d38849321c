const tell = (what) => console.log(JSON.stringify(what))
const met = new Set()

/** Whether it is the first time for this. */
function isNew(what) {
  if (met.has(what)) return false
  met.add(what)
  return true
}

globalThis.isLocked = async (id) => id === 4 && isNew('locked')
globalThis.book = async ({ step }, { signal }) => {
  signal.throwIfAborted()
  if (step === 'fails once' && isNew(step)) throw new Error('the ledger is shut')
  tell({ booked: step })
}
globalThis.log = { warn: ({ delayMs }) => tell({ warned: delayMs }) }
