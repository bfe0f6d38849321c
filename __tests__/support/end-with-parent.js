'use strict'
// Loaded before the script of a ChildProcess: it ends when its parent does.

process.once('disconnect', () => process.exit(1))
process.channel?.unref()
