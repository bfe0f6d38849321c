'use strict'
// Finds the Java tools of this machine, and says what is missing and where to get it.

const { execFile } = require('node:child_process')
const path = require('node:path')
const { setTimeout: sleep } = require('node:timers/promises')
const { promisify } = require('node:util')

const run = promisify(execFile)

/** Of Maven, and between two runs of it. */
const MOST_TRIES = 3
const PAUSE_MS = 3_000

const WHERE = {
  java: 'a Java 8 or newer run time: "apt-get install default-jdk-headless", "brew install openjdk", or https://adoptium.net',
  javac:
    'a Java 8 or newer development kit (JDK): "apt-get install default-jdk-headless", "brew install openjdk", or https://adoptium.net',
  mvn: 'Apache Maven 3: "apt-get install maven", "brew install maven", or https://maven.apache.org/download.cgi',
}

/** A tool that is not installed; its message says where to get it. */
class MissingToolError extends Error {
  constructor(tool, reason) {
    super(`A real Apache RocketMQ needs \`${tool}\`, which ${reason}. Install ${WHERE[tool]}.`)
    this.name = 'MissingToolError'
    this.tool = tool
  }
}

/** Where a tool of the JDK is: under JAVA_HOME when that is set, else on PATH. */
function jdkTool(name) {
  return process.env.JAVA_HOME ? path.join(process.env.JAVA_HOME, 'bin', name) : name
}

let found

/** `{ command, major }` of the java launcher; asked once per process. */
function findJava() {
  found ??= (async () => {
    const command = jdkTool('java')
    const { stderr, stdout } = await orMissing('java', run(command, ['-version']))
    const version = /version "(?:1\.)?(\d+)/.exec(stderr + stdout)
    if (!version) throw new MissingToolError('java', 'does not tell its version')
    if (Number(version[1]) < 8) throw new MissingToolError('java', `is too old (${version[0]})`)
    return { command, major: Number(version[1]) }
  })()
  return found
}

/** Runs Maven in batch mode; again when it fails, which a download does now and then. */
async function maven(args) {
  await findJava()
  for (let tries = 1; ; tries++) {
    try {
      return await runTool('mvn', 'mvn', ['--batch-mode', '--quiet', ...args])
    } catch (error) {
      if (error instanceof MissingToolError || tries === MOST_TRIES) throw error
    }
    await sleep(PAUSE_MS)
  }
}

/** Runs the Java compiler. */
async function javac(args) {
  await runTool('javac', jdkTool('javac'), args)
}

/** Resolves when the tool ends well, else rejects with the end of its output. */
async function runTool(tool, command, args) {
  try {
    await orMissing(tool, run(command, args, { maxBuffer: 64 * 1024 * 1024 }))
  } catch (error) {
    if (error instanceof MissingToolError) throw error
    const output = `${error.stdout ?? ''}${error.stderr ?? ''}`.trim().split('\n').slice(-25).join('\n')
    throw new Error(`${tool} failed: ${command} ${args.join(' ')}\n${output}`, { cause: error })
  }
}

async function orMissing(tool, running) {
  try {
    return await running
  } catch (error) {
    if (error.code === 'ENOENT') throw new MissingToolError(tool, 'was not found')
    throw error
  }
}

module.exports = { findJava, javac, maven, MissingToolError }
