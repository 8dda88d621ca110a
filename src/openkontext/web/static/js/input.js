// The picture to edit: taken, looked at, shown, and given to the server once for all edits of it.

import { api, filePath } from "./api.js";
import { $, $$, announce, tell } from "./dom.js";
import { bytes as inBytes, sentence } from "./format.js";
import { isAddress, listen } from "./playground-sources.js";

const STORED = "openkontext-input";
const TYPES = ["image/jpeg", "image/png", "image/gif", "image/webp"];
const LONGEST_ASPECT = 4;
// What a reload must know of a picture. A signed address is as good as the picture: it stays in the tab.
const KEPT = ["kind", "name", "alt", "src", "url", "width", "height", "size", "sample", "editId"];

/** Why a picture can't be used, in words for its field. */
export class InputError extends Error {}

/**
 * The field of the picture. A picture: `{kind: "sample" | "file" | "edit" | "address", name, alt, src, url, width,
 * height, size, sample, editId}`; `src` is what this page shows (none: it is elsewhere), `url` the API's address of
 * it once it has one, `size` its bytes. `onChange(picture)` hears of each other one, null included.
 */
export class Input {
  #field;
  #onChange;
  #taking = 0;

  /** The picture, or null. */
  picture = null;

  constructor(field, onChange) {
    this.#field = field;
    this.#onChange = onChange;
    listen({
      file: (file) => this.takeFile(file),
      address: (text) => this.takeAddress(text),
      sample: (button) => this.takeSample(button),
    });
    $("[data-testid=input-clear]", field).addEventListener("click", () => this.clear());
    this.#restore();
  }

  /** Take a file of the user's: look at it here, then upload it. */
  async takeFile(file) {
    const turn = ++this.#taking;
    try {
      const picture = await looked(file, this.#field.dataset);
      if (turn !== this.#taking) return;
      this.#use(picture);
      await this.address();
    } catch (error) {
      if (turn === this.#taking) this.fail(sentence(error.message));
    }
  }

  /** Take a picture by its address, or as a data URL; whether it is one. */
  takeAddress(text) {
    this.#taking += 1;
    if (!isAddress(text)) {
      this.fail("Give the address of a picture, beginning with https:// or http://.");
      return false;
    }
    if (/^data:/i.test(text)) this.#takeData(text);
    else this.#use({ kind: "address", name: nameIn(text), url: text });
    return true;
  }

  /** Take one of the samples, by its button. */
  takeSample(button) {
    this.#taking += 1;
    this.#use(sampleIn(button));
  }

  /** Take the output of an edit. */
  takeEdit(edit) {
    const { id, prompt, output } = edit;
    const [name, alt] = [`Edit: ${prompt}`, `The result of: ${prompt}`];
    return this.#takeKept({ kind: "edit", name, alt, url: output, editId: id });
  }

  /** Take the picture that an edit was made of. */
  takeInputOf({ input, parentId }) {
    const name = "The picture of an earlier edit";
    return this.#takeKept({ kind: "edit", name, alt: name, url: input, editId: parentId });
  }

  /** Take a picture that was here before. */
  takeAgain(picture) {
    this.#taking += 1;
    if (picture !== this.picture) this.#use(picture);
  }

  /** No picture. */
  clear() {
    this.#taking += 1;
    this.#use(null);
    announce("The picture was removed");
    $("[data-testid=file-input]").focus();
  }

  /** The address that the API knows the picture by, after an upload if need be. Throws InputError, ApiError. */
  async address({ afresh = false } = {}) {
    const { picture } = this;
    if (!picture) throw new InputError("Choose a picture to edit.");
    if (afresh) [picture.url, picture.uploading] = [null, null];
    if (!picture.url) {
      picture.uploading ??= upload(picture).finally(() => { picture.uploading = null; });
      picture.url = await picture.uploading;
      this.#store();
    }
    return picture.url;
  }

  /** Whether the picture could be uploaded anew, since it is at hand. */
  get isAtHand() {
    return Boolean(this.picture?.blob ?? this.picture?.sample);
  }

  /** The name of its file, as code may have it; undefined without a picture. */
  get fileName() {
    const { picture } = this;
    return picture?.kind === "edit" ? nameIn(picture.url) : picture?.name;
  }

  /** Say at the picture what is wrong with it. */
  fail(message, { focus = false } = {}) {
    tell($("#input-error"), message);
    const picker = $("[data-testid=file-input]");
    picker.setAttribute("aria-invalid", String(Boolean(message)));
    if (focus) picker.focus();
  }

  #takeData(text) {
    const [, type, base64] = /^data:([^;,]+);base64,(.*)$/is.exec(text) ?? [];
    try {
      const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
      this.takeFile(new File([bytes], `pasted.${type.split("/")[1]}`, { type: type.toLowerCase() }));
    } catch {
      this.fail("This data URL can’t be read; it may have been cut off.");
    }
  }

  async #takeKept(picture) {
    const turn = ++this.#taking;
    const image = await decoded(filePath(picture.url)).catch(() => null);
    if (turn !== this.#taking) return;
    if (!image) return this.fail("The picture of this edit is gone; choose another one.");
    this.#use({ ...picture, src: image.src, width: image.naturalWidth, height: image.naturalHeight });
  }

  #use(picture) {
    this.picture = picture;
    this.fail("");
    this.#show();
    this.#weigh(picture);
    this.#store();
    if (picture) announce(`Picture: ${picture.name}`);
    this.#onChange(picture);
  }

  #show() {
    const { picture } = this;
    const zone = $(".dropzone", this.#field);
    zone.toggleAttribute("data-filled", Boolean(picture));
    const image = $(".input-image", zone);
    image.hidden = !picture?.src;
    for (const name of picture?.src ? ["src", "alt", "width", "height"] : []) image[name] = picture[name];
    $(".elsewhere", zone).hidden = !picture || Boolean(picture.src);
    $("[data-address]", zone).textContent = picture?.src ? "" : picture?.url ?? "";
    $(".input-name", this.#field).textContent = picture?.name ?? "No picture yet";
    $("[data-size]", this.#field).textContent = sizeInWords(picture);
    $("[data-testid=input-clear]", this.#field).hidden = !picture;
    for (const button of $$(".sample", this.#field)) {
      button.setAttribute("aria-pressed", String(button.dataset.sample === picture?.sample));
    }
  }

  #store() {
    const { picture } = this;
    const kept = picture && Object.fromEntries(KEPT.map((name) => [name, picture[name]]));
    // An object URL ends with the page; the uploaded file is the same picture.
    if (kept?.kind === "file") kept.src = filePath(kept.url);
    sessionStorage.setItem(STORED, JSON.stringify(kept));
  }

  #restore() {
    const kept = sessionStorage.getItem(STORED);
    this.picture = kept === null ? sampleIn($(".sample[aria-pressed=true]", this.#field)) : JSON.parse(kept);
    // One whose upload hadn't ended can't be shown again.
    if (this.picture?.kind === "file" && !this.picture.src) this.picture = null;
    this.#show();
    this.#weigh(this.picture);
    if (this.picture?.src) this.#checkRestored(this.picture);
  }

  async #weigh(picture) {
    if (picture?.kind !== "sample") return;
    picture.size = (await blobOf(picture).catch(() => null))?.size;
    if (picture === this.picture) this.#show();
  }

  async #checkRestored(picture) {
    const image = await decoded(picture.src).catch(() => null);
    if (image || picture !== this.picture) return;
    this.#use(null);
    this.fail("The picture has expired on the server; choose it again.");
  }
}

/** A file as a picture. Throws InputError where it can't be used. */
async function looked(file, limits) {
  checkFile(file, limits);
  // Never revoked: the result may show it long after another one was chosen.
  const src = URL.createObjectURL(file);
  const { naturalWidth: width, naturalHeight: height } = await decoded(src);
  checkSize(width, height, limits);
  const { name } = file;
  return { kind: "file", name, alt: `Your picture ${name}`, src, width, height, size: file.size, blob: file };
}

function sampleIn(button) {
  const image = $("img", button);
  const { sample } = button.dataset;
  const [width, height] = ["width", "height"].map((name) => Number(image.getAttribute(name)));
  return { kind: "sample", name: `${sample}.webp`, alt: image.alt, src: image.src, width, height, sample };
}

async function upload(picture) {
  const form = new FormData();
  form.append("file", await blobOf(picture), picture.name);
  try {
    const { file_urls: [url] } = await api("/upload-asset", { form });
    return url;
  } catch (error) {
    if (error.status !== 400 && error.status !== 413) throw error;
    // "file 1: the image …" is about the only one there is.
    throw new InputError(sentence(error.message.replace(/^file 1: /, "")));
  }
}

/** The file itself; a sample's is loaded the first time. */
async function blobOf(picture) {
  picture.blob ??= await (await fetch(picture.src)).blob();
  return picture.blob;
}

async function decoded(src) {
  const image = new Image();
  image.src = src;
  try {
    await image.decode();
  } catch {
    throw new InputError("This file can’t be read as a picture; it may be damaged.");
  }
  return image;
}

function checkFile(file, { maxMb }) {
  if (!TYPES.includes(file.type)) {
    throw new InputError(`${file.name} can’t be used: choose a jpeg, png, gif or webp.`);
  }
  if (file.size > maxMb * 1e6) {
    throw new InputError(tooMuch(inBytes(file.size), `${Number(maxMb)} MB`));
  }
}

function checkSize(width, height, { maxMegapixels }) {
  if (Math.max(width / height, height / width) > LONGEST_ASPECT) {
    throw new InputError(`The picture is ${width} × ${height}: sides can be up to 4:1. Crop it first.`);
  }
  if (width * height > maxMegapixels * 1e6) {
    throw new InputError(tooMuch(`${Math.round(width * height / 1e6)} megapixels`, Number(maxMegapixels)));
  }
}

const tooMuch = (has, most) => `The picture has ${has}; at most ${most} can be used. Make it smaller first.`;

function sizeInWords(picture) {
  if (!picture?.width) return "";
  return `${picture.width} × ${picture.height}${picture.size ? ` · ${inBytes(picture.size)}` : ""}`;
}

function nameIn(url) {
  const { pathname, host } = new URL(url);
  const name = pathname.split("/").pop() || host;
  try {
    return decodeURIComponent(name);
  } catch {
    // A % may stand for itself.
    return name;
  }
}
