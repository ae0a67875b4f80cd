// The conversations in the side column.

import { blob, json } from "./api.js";
import { ask, byId, element, tell } from "./dialog.js";
import { t } from "./words.js";

const base = (index) => `/indexes/${encodeURIComponent(index)}/conversations`;

export class Conversations {
  constructor(onOpen) {
    this.onOpen = onOpen;
    this.index = null;
    this.current = null;
  }

  async load(index) {
    this.index = index;
    const found = await json(base(index));
    const items = found.map(({ name }) => this.item(name));
    byId("conversations").replaceChildren(...(items.length ? items : [element("li", { class: "faint", textContent: t("noConversations") })]));
  }

  item(name) {
    const title = element("button", { type: "button", class: "quiet name", textContent: name, title: name, on: { click: () => this.open(name) } });
    if (name === this.current) title.setAttribute("aria-current", "true");
    const small = (sign, label, call) =>
      element("button", { type: "button", class: "quiet small", textContent: sign, label: `${t(label)}: ${name}`, on: { click: () => this.safely(call) } });
    return element(
      "li", {}, title,
      small("✎", "rename", () => this.rename(name)), small("⤓", "exportIt", () => this.save(name)), small("✕", "remove", () => this.remove(name)),
    );
  }

  async safely(call) {
    try {
      await call();
    } catch (error) {
      tell(error.message);
    }
  }

  async open(name) {
    await this.safely(async () => {
      const turns = await json(`${base(this.index)}/${encodeURIComponent(name)}`);
      this.current = name;
      this.onOpen(turns);
      await this.load(this.index);
    });
  }

  // The name of the conversation that a question belongs to: a new one is named after its first question.
  async nameFor(question) {
    this.current ??= (await json(base(this.index), { method: "POST", body: { name: question } })).name;
    return this.current;
  }

  async rename(name) {
    const wish = await ask(t("renameTo"), name);
    if (!wish || wish === name) return;
    await json(`${base(this.index)}/${encodeURIComponent(name)}`, { method: "PATCH", body: { name: wish } });
    if (this.current === name) this.current = wish;
    await this.load(this.index);
  }

  async save(name) {
    const link = element("a", { href: await blob(`${base(this.index)}/${encodeURIComponent(name)}/export`), download: `${name}.md` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }

  async remove(name) {
    if (!confirm(t("sure", name))) return;
    await json(`${base(this.index)}/${encodeURIComponent(name)}`, { method: "DELETE" });
    if (this.current === name) this.onOpen((this.current = null) ?? []);
    await this.load(this.index);
  }
}
