import type { PeerCertificate } from 'node:tls'

/** Certificates that the servers of a client of the ioredis family have shown, over TLS. Those of node-redis cannot be seen. */
export function peerCertificatesOf (client: object): PeerCertificate[] {
  const { nodes } = client as { nodes?: unknown }
  const each: unknown = typeof nodes === 'function' ? Reflect.apply(nodes, client, []) : [client]
  return Array.isArray(each) ? each.flatMap(certificateOf) : []
}

function certificateOf (client: unknown): PeerCertificate[] {
  const { stream } = Object(client) as { readonly stream?: { readonly getPeerCertificate?: () => PeerCertificate } | null }
  return typeof stream?.getPeerCertificate === 'function' ? [stream.getPeerCertificate()] : []
}
