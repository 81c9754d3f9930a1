/** Is this an address of this machine? A datagram socket on any free port tells; nobody hears of it. */
export async function canBind(ip: string): Promise<boolean> {
  try {
    const socket = await Bun.udpSocket({ hostname: ip, port: 0 });
    socket.close();
    return true;
  } catch {
    // EADDRNOTAVAIL: no interface has it. Anything else would keep a connection from it just as well.
    return false;
  }
}
