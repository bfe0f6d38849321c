'use strict'
// Compiles a small Java program against the genuine RocketMQ client, once, and tells how to run it.

const crypto = require('node:crypto')
const fs = require('node:fs')
const path = require('node:path')
const { classPath, libFolder } = require('./jars')
const { findJava, javac } = require('./java')

/** Of a client that lives for seconds; its logs go to the folder that `home` names. */
const JVM = ['-Xmx256m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-XX:-UsePerfData', '-Dfile.encoding=UTF-8']

/**
 * The command line of a Java program, which may use classes of its folder: `[command, ...args]`, to be followed by the program's own.
 * @param {string} source the .java file, named as its class
 * @param {{ version: string, home: string, kind?: 'client' | 'tools' }} options of the client; where it may write; what it is made of
 */
async function peerCommand(source, { version, home, kind = 'client' }) {
  const jars = await classPath(version, kind)
  const classes = await compiled(source, { version, jars })
  const { command } = await findJava()
  const classPathArgument = [classes, jars].join(path.delimiter)
  return [command, ...JVM, `-Duser.home=${home}`, '-cp', classPathArgument, path.basename(source, '.java')]
}

/** The folder with the classes of a program, which are compiled once. */
async function compiled(source, { version, jars }) {
  const name = path.basename(source, '.java')
  const classes = path.join(libFolder(version), `${name}-${digestOf(path.dirname(source))}`)
  if (!fs.existsSync(classes)) await compile(source, jars, classes)
  return classes
}

/** Of all sources that a program may be made of. */
function digestOf(folder) {
  const hash = crypto.createHash('sha256')
  for (const name of fs.readdirSync(folder).sort()) {
    if (name.endsWith('.java')) hash.update(name).update(fs.readFileSync(path.join(folder, name)))
  }
  return hash.digest('hex').slice(0, 16)
}

async function compile(source, jars, classes) {
  const building = fs.mkdtempSync(`${classes}-`)
  try {
    const paths = ['-cp', jars, '-sourcepath', path.dirname(source), '-d', building]
    await javac(['-nowarn', '-encoding', 'UTF-8', ...paths, source])
    // Another process may have been quicker: what it made is as good.
    if (!fs.existsSync(classes)) fs.renameSync(building, classes)
  } catch (error) {
    if (!fs.existsSync(classes)) throw error
  } finally {
    fs.rmSync(building, { recursive: true, force: true })
  }
}

module.exports = { compiled, peerCommand }
