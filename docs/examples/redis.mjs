// The few commands that consume.mjs needs, over node:net alone. A client library does the same.
import net from "node:net";

/** A connection to the node that has *key*: it follows MOVED and ASK. */
export class ClusterConnection {
  constructor(addresses, key) {
    this.addresses = addresses;
    this.key = key;
  }

  /** The reply to a command about the key. Throws when the node is lost: call it again. */
  async send(...command) {
    for (let redirections = 0; redirections < 5; redirections++) {
      this.node ??= await this.anyNode();
      const reply = await this.node.send(command);
      if (!(reply instanceof Error)) return reply;
      const [kind, , address] = reply.message.split(" ");
      if (kind !== "MOVED" && kind !== "ASK") throw reply;
      const owner = await Node.open(address);
      if (kind === "ASK") {
        // The slot is on its way; the old node stays responsible.
        await owner.send(["ASKING"]);
        const asked = await owner.send(command);
        owner.close();
        if (asked instanceof Error) throw asked;
        return asked;
      }
      this.node.close();
      this.node = owner;
    }
    throw new Error("too many redirections");
  }

  async anyNode() {
    let failure = new Error("no address");
    for (const address of this.addresses) {
      try {
        return await Node.open(address);
      } catch (error) {
        failure = error;
      }
    }
    throw failure;
  }

  close() {
    this.node?.close();
    this.node = undefined;
  }
}

class Node {
  static async open(address) {
    const at = address.lastIndexOf(":");
    const node = new Node();
    node.waiting = [];
    node.buffer = Buffer.alloc(0);
    node.socket = net.connect({ host: address.slice(0, at), port: Number(address.slice(at + 1)) });
    node.socket.setTimeout(10_000, () => node.socket.destroy(new Error("no reply in 10 s")));
    node.socket.on("data", (bytes) => node.receive(bytes));
    node.socket.on("close", () => node.fail(new Error(`${address} has closed the connection`)));
    await new Promise((resolve, reject) => {
      node.socket.once("connect", resolve).once("error", reject);
    });
    node.socket.on("error", (error) => node.fail(error));
    return node;
  }

  send(command) {
    const parts = command.map((each) => `$${Buffer.byteLength(String(each))}\r\n${each}\r\n`);
    this.socket.write(`*${command.length}\r\n${parts.join("")}`);
    return new Promise((resolve, reject) => this.waiting.push({ resolve, reject }));
  }

  receive(bytes) {
    this.buffer = Buffer.concat([this.buffer, bytes]);
    for (let found = parse(this.buffer, 0); found; found = parse(this.buffer, 0)) {
      this.buffer = this.buffer.subarray(found.end);
      this.waiting.shift()?.resolve(found.value);
    }
  }

  fail(error) {
    for (const each of this.waiting.splice(0)) each.reject(error);
  }

  close() {
    this.socket.destroy();
  }
}

/** The reply that begins at *at*, and where it ends; undefined while it is not complete. */
function parse(buffer, at) {
  const line = buffer.indexOf("\r\n", at);
  if (line < 0) return undefined;
  const text = buffer.toString("utf8", at + 1, line);
  const start = line + 2;
  switch (String.fromCharCode(buffer[at])) {
    case "+":
      return { value: text, end: start };
    case "-":
      return { value: new Error(text), end: start };
    case ":":
      return { value: Number(text), end: start };
    case "$": {
      const end = start + Number(text);
      if (Number(text) < 0) return { value: null, end: start };
      return buffer.length < end + 2 ? undefined : { value: buffer.toString("utf8", start, end), end: end + 2 };
    }
    case "*": {
      if (Number(text) < 0) return { value: null, end: start };
      const value = [];
      let end = start;
      for (let index = 0; index < Number(text); index++) {
        const item = parse(buffer, end);
        if (!item) return undefined;
        value.push(item.value);
        end = item.end;
      }
      return { value, end };
    }
    default:
      throw new Error("not a reply of Redis");
  }
}
