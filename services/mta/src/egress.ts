/** From where we speak: one source address with its name, or a proxy. */
export type Egress = {
  /** The address, or the name that the operator gave it; a key in buckets, metrics and events. */
  id: string;
  /** Bound before connecting; absent lets the system choose. */
  localIp?: string;
  /** Our name in EHLO; it resolves to the address and back. */
  ehloName: string;
  /** `socks5://host:port` or `http://host:port` that connects for us. */
  proxy?: string;
};
