/**
 * Certificates made for a test: authorities, and what they sign for servers and clients.
 */
import forge from "node-forge"
import { generateKeyPairSync } from "node:crypto"

/** A certificate and its key, in PEM. */
export interface Certified {
  readonly certificate: string
  readonly privateKey: string
}

const day = 24 * 60 * 60 * 1000

let serial = 1

const certify = (
  name: string,
  extensions: ReadonlyArray<object>,
  issuer: (Certified & { readonly name: string }) | undefined,
  validMs: readonly [number, number] = [-day, day]
): Certified & { readonly name: string } => {
  const keys = generateKeyPairSync("rsa", {
    modulusLength: 2048,
    privateKeyEncoding: { format: "pem", type: "pkcs8" },
    publicKeyEncoding: { format: "pem", type: "spki" }
  })
  const certificate = forge.pki.createCertificate()
  certificate.publicKey = forge.pki.publicKeyFromPem(keys.publicKey)
  certificate.serialNumber = (serial++).toString(16).padStart(4, "0")
  certificate.validity.notBefore = new Date(Date.now() + validMs[0])
  certificate.validity.notAfter = new Date(Date.now() + validMs[1])
  certificate.setSubject([{ name: "commonName", value: name }])
  certificate.setIssuer([{ name: "commonName", value: issuer?.name ?? name }])
  certificate.setExtensions([...extensions])
  certificate.sign(forge.pki.privateKeyFromPem(issuer?.privateKey ?? keys.privateKey), forge.md.sha256.create())
  return { name, certificate: forge.pki.certificateToPem(certificate), privateKey: keys.privateKey }
}

const forServer = [
  { name: "extKeyUsage", serverAuth: true },
  { name: "subjectAltName", altNames: [{ type: 7, ip: "127.0.0.1" }] }
]

/** An authority, which signs for servers on 127.0.0.1 and for clients. */
export const authority = (name: string) => {
  const root = certify(
    name,
    [{ name: "basicConstraints", cA: true }, { name: "keyUsage", keyCertSign: true }],
    undefined
  )
  return {
    certificate: root.certificate,
    server: (): Certified => certify("127.0.0.1", forServer, root),
    client: (name: string): Certified => certify(name, [{ name: "extKeyUsage", clientAuth: true }], root),
    expiredClient: (name: string): Certified =>
      certify(name, [{ name: "extKeyUsage", clientAuth: true }], root, [-2 * day, -day])
  }
}

/** A server's certificate that nobody signed but its own key. */
export const selfSigned = (): Certified => certify("127.0.0.1", forServer, undefined)
