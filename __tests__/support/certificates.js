'use strict'
// Certificates of one's own, made by OpenSSL and gone with the test.

const { execFileSync } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')

const openssl = (...args) => execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] })

/** An authority, and what it signs; all as PEM. */
class Authority {
  #folder = fs.mkdtempSync(path.join(os.tmpdir(), 'rocketmq-orderly-tls-'))
  #count = 0

  /** @param {string} name of the authority */
  constructor(name) {
    const request = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '1', '-subj', `/CN=${name}`]
    openssl(...request, '-keyout', this.#file('ca.key'), '-out', this.#file('ca.pem'))
    this.pem = fs.readFileSync(this.#file('ca.pem'), 'utf8')
  }

  /**
   * A certificate and its key.
   * @param {string} names 'DNS:broker-a,IP:127.0.0.1'
   */
  sign(names) {
    const [key, request, cert, extensions] = ['key', 'csr', 'pem', 'ext'].map((end) =>
      this.#file(`${this.#count}.${end}`),
    )
    this.#count++
    fs.writeFileSync(extensions, `subjectAltName=${names}\nbasicConstraints=CA:FALSE\n`)
    openssl('req', '-new', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=signed', '-keyout', key, '-out', request)
    const by = ['-CA', this.#file('ca.pem'), '-CAkey', this.#file('ca.key'), '-CAcreateserial']
    openssl('x509', '-req', '-in', request, ...by, '-days', '1', '-extfile', extensions, '-out', cert)
    return { cert: fs.readFileSync(cert, 'utf8'), key: fs.readFileSync(key, 'utf8') }
  }

  close() {
    fs.rmSync(this.#folder, { recursive: true, force: true })
  }

  #file(name) {
    return path.join(this.#folder, name)
  }
}

module.exports = { Authority }
