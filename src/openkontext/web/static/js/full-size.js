// The picture in a dialog of its own: fitted into the window, or each of its pixels one of the screen's.

import { $, replace } from "./dom.js";

/** The dialog of _result.html. */
export class FullSize {
  constructor(dialog) {
    this.dialog = dialog;
    this.scale = $("[data-testid=full-size-scale]", dialog);
    this.scale.addEventListener("click", () => this.#atOwnSize(!dialog.classList.contains("own-size")));
    $("[data-testid=full-size-close]", dialog).addEventListener("click", () => dialog.close());
    dialog.addEventListener("click", ({ target }) => { if (target === dialog) dialog.close(); });
  }

  /** Show a copy of `image`, an `<img>`. */
  open(image) {
    replace($(".full-size-picture", this.dialog), image.cloneNode());
    $("p", this.dialog).textContent = `${image.naturalWidth} × ${image.naturalHeight} pixels`;
    this.#atOwnSize(false);
    this.dialog.showModal();
  }

  #atOwnSize(isOn) {
    this.scale.setAttribute("aria-pressed", String(isOn));
    this.dialog.classList.toggle("own-size", isOn);
  }
}
