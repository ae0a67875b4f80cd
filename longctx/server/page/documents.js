// The documents of an index: upload with the state of each file, open, delete.

import { events, json, upload } from "./api.js";
import { byId, element, tell } from "./dialog.js";
import { open } from "./viewer.js";
import { t } from "./words.js";

const base = (index) => `/indexes/${encodeURIComponent(index)}`;

export class Documents {
  constructor() {
    this.index = null;
    const drop = byId("drop");
    for (const name of ["dragenter", "dragover"]) {
      document.addEventListener(name, (event) => {
        if (!event.dataTransfer?.types.includes("Files")) return;
        event.preventDefault();
        drop.classList.add("over");
      });
    }
    document.addEventListener("dragleave", (event) => event.relatedTarget ?? drop.classList.remove("over"));
    document.addEventListener("drop", (event) => {
      if (!event.dataTransfer?.files.length) return;
      event.preventDefault();
      drop.classList.remove("over");
      this.add([...event.dataTransfer.files]);
    });
    byId("files").addEventListener("change", (event) => {
      this.add([...event.target.files]);
      event.target.value = "";
    });
  }

  async load(index) {
    const changed = index !== this.index;
    this.index = index;
    const found = await json(`${base(index)}/documents`);
    const items = found.map((each) => this.item(each));
    byId("documents").replaceChildren(...(items.length ? items : [element("li", { class: "faint", textContent: t("noDocuments") })]));
    if (!changed) return;
    byId("jobs").replaceChildren();
    for (const job of await json(`${base(index)}/jobs`)) if (!["done", "failed", "cancelled"].includes(job.state)) this.follow(job);
  }

  item(each) {
    const citation = { source: each.name, title: each.title, page: each.is_pdf ? 1 : null, start: 0, end: 0 };
    const name = element("button", {
      type: "button", class: "quiet name", textContent: each.name, title: each.title, on: { click: () => open(this.index, citation) },
    });
    const remove = element("button", {
      type: "button", class: "quiet small", textContent: "✕", label: `${t("remove")}: ${each.name}`, on: { click: () => this.remove(each.name) },
    });
    return element("li", {}, name, remove);
  }

  async remove(name) {
    if (!confirm(t("sure", name))) return;
    try {
      await json(`${base(this.index)}/documents/${name.split("/").map(encodeURIComponent).join("/")}`, { method: "DELETE" });
      await this.load(this.index);
    } catch (error) {
      tell(error.message);
    }
  }

  async add(files) {
    const box = element("div", { class: "job" }, element("p", { textContent: t("uploading", 0) }));
    byId("jobs").append(box);
    try {
      const job = await upload(`${base(this.index)}/documents`, files, (share) => {
        box.firstChild.textContent = t("uploading", Math.round(share * 100));
      });
      await this.follow(job, box);
    } catch (error) {
      box.remove();
      tell(error.message);
    }
  }

  async follow(job, box = element("div", { class: "job" })) {
    const index = this.index;
    if (!box.isConnected) byId("jobs").append(box);
    this.show(job, box);
    try {
      for await (const { data } of events(`${base(index)}/jobs/${job.id}/events`)) this.show(data, box);
    } catch (error) {
      tell(error.message);
    }
    if (!job.files.length) box.remove(); // a folder of the server's: there is nothing to tell
    if (index === this.index) await this.load(index);
  }

  show(job, box) {
    const over = ["done", "failed", "cancelled"].includes(job.state);
    const list = element("ul");
    for (const file of job.files) {
      const state = `${t(file.state)}${file.reason ? `: ${file.reason}` : ""}`;
      list.append(element("li", { class: file.state, textContent: `${file.name}: ${state}` }));
    }
    const button = over
      ? element("button", { type: "button", class: "quiet", textContent: t("close"), on: { click: () => box.remove() } })
      : element("button", {
          type: "button", class: "quiet", textContent: t("stop"),
          on: { click: () => json(`${base(this.index)}/jobs/${job.id}`, { method: "DELETE" }).catch((error) => tell(error.message)) },
        });
    const bar = element("progress", { max: Math.max(1, job.total), value: job.done });
    bar.setAttribute("aria-label", t("documents"));
    const line = over ? t(job.state) : t("ingesting", job.done, job.total);
    box.replaceChildren(element("p", { textContent: job.error ? `${line}: ${job.error}` : line }), ...(over ? [] : [bar]), list, button);
  }
}
