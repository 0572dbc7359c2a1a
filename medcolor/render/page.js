// The viewer of one picture set: a body that turns, sections through it, and one wipe between the
// grey scan and its colours over both.
//
// Pictures are drawn on canvases at the screen's own resolution. A drawing replaces the last one in
// a single step, so that nothing flickers, and the wipe is no more than a clip.

const SCALES_MM = [1, 2, 5, 10, 20, 50, 100, 200];
const SIDES = {
  R: "right", L: "left", A: "front", P: "back", S: "head", I: "feet", H: "head", F: "feet",
};
const DECODED_AT_ONCE = 8;
const WHEEL_STEP_PX = 40;
const AWAY_MS = 1000; // Longer between two frames: the page was out of sight.

const content = JSON.parse(document.getElementById("content").textContent);
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

async function decode(source) {
  const image = new Image();
  image.src = source;
  await image.decode();
  return image;
}

// The pictures of one camera path or one plane: `pairs[index]` once that index is decoded.
class Pictures {
  constructor({ color, grey }) {
    this.color = color;
    this.grey = grey;
    this.pairs = new Array(color.length);
  }

  get count() {
    return this.color.length;
  }

  // Decode all, what lies nearest to `first` first; tell `report` the share that is ready.
  async load(first, report) {
    const order = [...this.pairs.keys()].sort((a, b) => Math.abs(a - first) - Math.abs(b - first));
    for (let start = 0; start < order.length; start += DECODED_AT_ONCE) {
      const some = order.slice(start, start + DECODED_AT_ONCE);
      await Promise.all(some.map((index) => this.#loadPair(index)));
      report(Math.min(1, (start + DECODED_AT_ONCE) / order.length));
    }
  }

  async #loadPair(index) {
    const [color, grey] = await Promise.all([
      decode(this.color[index]),
      this.grey && decode(this.grey[index]),
    ]);
    this.pairs[index] = { color, grey };
  }
}

// One share for all stages: how much of each, from its left, shows the grey scan, 0..1.
class Wipe {
  constructor(root) {
    this.root = root;
    this.range = root.querySelector("input");
    this.share = 0.5;
    this.stages = [];
    this.range.addEventListener("input", () => this.set(this.range.value / 100));
    for (const button of root.querySelectorAll("button")) {
      button.addEventListener("click", () => this.set(Number(button.dataset.share)));
    }
  }

  attach(stage) {
    this.root.hidden = false;
    this.stages.push(stage);
    stage.divider.hidden = false;
    const follow = (event) => {
      const box = stage.frame.getBoundingClientRect();
      this.set((event.clientX - box.left) / box.width);
    };
    dragged(stage.divider, () => follow);
    this.set(this.share);
  }

  set(share) {
    this.share = clamp(share, 0, 1);
    const percent = Math.round(100 * this.share);
    this.range.value = percent;
    this.range.style.setProperty("--filled", `${percent}%`);
    const words = { 0: "colours alone", 100: "grey scan alone" };
    this.range.setAttribute("aria-valuetext", words[percent] ?? `${percent} % grey scan`);
    for (const stage of this.stages) {
      stage.divider.style.left = `${100 * this.share}%`;
      stage.draw();
    }
  }
}

// Call what `begin` returns for each move of a pointer that went down on `element`.
function dragged(element, begin) {
  element.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    const move = begin(event);
    const end = () => {
      element.removeEventListener("pointermove", move);
      element.removeEventListener("lostpointercapture", end);
    };
    element.setPointerCapture(event.pointerId);
    element.addEventListener("pointermove", move);
    element.addEventListener("lostpointercapture", end);
  });
}

// A picture out of several, chosen by keys on the picture or by the range below it.
class Stage {
  constructor(root, wipe) {
    this.root = root;
    this.wipe = wipe;
    this.frame = root.querySelector(".frame");
    this.surface = root.querySelector(".surface");
    this.canvas = root.querySelector("canvas");
    this.caption = root.querySelector(".caption");
    this.divider = root.querySelector(".divider");
    this.range = root.querySelector(".controls input");
    this.index = 0;
    this.wraps = false;
    this.range.addEventListener("input", () => this.choose(Number(this.range.value)));
    this.surface.addEventListener("keydown", (event) => this.onKey(event));
    new ResizeObserver(() => this.#fit()).observe(this.surface);
  }

  // Take other pictures; `describe(index)` gives the words for one.
  take(pictures, index, describe) {
    this.pictures = pictures;
    this.describe = describe;
    this.range.max = pictures.count - 1;
    this.surface.setAttribute("role", pictures.count > 1 ? "slider" : "img");
    if (pictures.count > 1) {
      this.surface.tabIndex = 0;
      this.surface.setAttribute("aria-valuemin", 0);
      this.surface.setAttribute("aria-valuemax", pictures.count - 1);
    }
    this.show(index);
  }

  show(index) {
    const { count } = this.pictures;
    this.index = this.wraps ? ((index % count) + count) % count : clamp(index, 0, count - 1);
    this.caption.textContent = this.describe(this.index);
    this.range.value = this.index;
    this.range.style.setProperty("--filled", `${(100 * this.index) / Math.max(1, count - 1)}%`);
    this.announce();
    this.draw();
  }

  // The user's own choice; a stage that moves by itself stops.
  choose(index) {
    this.show(index);
  }

  announce() {
    const words = this.describe(this.index);
    this.range.setAttribute("aria-valuetext", words);
    if (this.pictures.count > 1) {
      this.surface.setAttribute("aria-valuenow", this.index);
      this.surface.setAttribute("aria-valuetext", words);
    }
  }

  draw() {
    const pair = this.pictures?.pairs[this.index];
    if (!pair || !this.canvas.width) return; // Not decoded yet: what is there stays.
    const { width, height } = this.canvas;
    const scale = Math.min(width / pair.color.naturalWidth, height / pair.color.naturalHeight);
    const size = [pair.color.naturalWidth * scale, pair.color.naturalHeight * scale];
    const box = [(width - size[0]) / 2, (height - size[1]) / 2, ...size];
    const context = this.canvas.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.clearRect(0, 0, width, height);
    context.drawImage(pair.color, ...box);
    if (pair.grey) {
      context.save();
      context.beginPath();
      context.rect(0, 0, Math.round(width * this.wipe.share), height);
      context.clip();
      context.clearRect(0, 0, width, height);
      context.drawImage(pair.grey, ...box);
      context.restore();
    }
    this.onDrawn((scale * this.surface.clientWidth) / width);
  }

  // After each drawing; `scale` is screen (CSS) pixels a picture pixel.
  onDrawn(_scale) {}

  onKey(event) {
    const last = this.pictures.count - 1;
    const leap = Math.max(1, Math.round(this.pictures.count / 8));
    const target = {
      ArrowRight: this.index + 1,
      ArrowUp: this.index + 1,
      ArrowLeft: this.index - 1,
      ArrowDown: this.index - 1,
      PageUp: this.index + leap,
      PageDown: this.index - leap,
      Home: 0,
      End: last,
    }[event.key];
    if (target === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    this.choose(target);
  }

  #fit() {
    const ratio = window.devicePixelRatio || 1;
    this.canvas.width = Math.round(this.surface.clientWidth * ratio);
    this.canvas.height = Math.round(this.surface.clientHeight * ratio);
    this.draw();
  }
}

// The camera's way around or through the body: dragged, played, or stepped.
class Turntable extends Stage {
  constructor(root, wipe, { title, labels, isLoop, framesPerSecond, ...sources }) {
    super(root, wipe);
    this.wraps = isLoop;
    this.framesPerSecond = framesPerSecond;
    this.playing = false;
    this.touched = false;
    this.button = root.querySelector(".play");
    this.still = root.querySelector("img");
    this.surface.setAttribute("aria-label", title);
    this.take(new Pictures(sources), 0, (index) => labels[index]);
    if (this.pictures.grey) wipe.attach(this);
    if (this.pictures.count < 2) return;
    root.querySelector(".controls").hidden = false;
    this.surface.classList.add("turns");
    this.button.addEventListener("click", () => (this.playing ? this.pause() : this.play()));
    dragged(this.surface, (down) => this.#drag(down));
  }

  async load() {
    const bar = this.root.querySelector(".loading");
    bar.hidden = false;
    await this.pictures.load(0, (share) => {
      bar.style.transform = `scaleX(${share})`;
      if (this.canvas.hidden) this.draw();
    });
    bar.hidden = true;
  }

  play() {
    this.pause();
    if (!this.wraps && this.index === this.pictures.count - 1) this.show(0);
    this.#setPlaying(true);
    const frame_ms = 1000 / this.framesPerSecond;
    let shown_ms = performance.now();
    const tick = (now_ms) => {
      if (now_ms - shown_ms > AWAY_MS) shown_ms = now_ms;
      const due = Math.max(0, Math.floor((now_ms - shown_ms) / frame_ms));
      if (due > 0) {
        shown_ms += due * frame_ms;
        this.show(this.index + due);
      }
      if (!this.wraps && this.index === this.pictures.count - 1) this.pause();
      else this.next = requestAnimationFrame(tick);
    };
    this.next = requestAnimationFrame(tick);
  }

  pause() {
    this.touched = true;
    cancelAnimationFrame(this.next);
    this.#setPlaying(false);
    this.announce();
  }

  choose(index) {
    this.pause();
    this.show(index);
  }

  // A screen reader is told of what the user chose, not of every frame that passes.
  announce() {
    if (!this.playing) super.announce();
  }

  onDrawn(_scale) {
    this.still.hidden = true;
    this.canvas.hidden = false;
  }

  onKey(event) {
    if (event.key === " " && this.pictures.count > 1) {
      event.preventDefault();
      this.button.click();
    } else {
      super.onKey(event);
    }
  }

  #setPlaying(playing) {
    this.playing = playing;
    this.button.dataset.playing = playing;
    this.button.setAttribute("aria-label", playing ? "Pause" : "Play");
  }

  // What faces the camera follows the pointer: half a turn takes it from one side to the other.
  // A way that is no turn runs from its begin to its end with the width.
  #drag(down) {
    this.pause();
    const first = this.index;
    const views = this.wraps ? -this.pictures.count / 2 : this.pictures.count - 1;
    return (event) => {
      const way = (event.clientX - down.clientX) / this.surface.clientWidth;
      this.show(first + Math.round(way * views));
    };
  }
}

// Sections along one plane at a time; every plane remembers its place.
class Sections extends Stage {
  constructor(root, wipe, stacks) {
    super(root, wipe);
    root.hidden = false;
    root.parentElement.classList.add("paired");
    this.tabs = root.querySelector("[role=tablist]");
    this.stacks = stacks.map((stack) => {
      const pictures = new Pictures(stack);
      return { ...stack, pictures, index: Math.floor((pictures.count - 1) / 2) };
    });
    this.stacks.forEach((stack, number) => this.#addTab(stack, number));
    this.tabs.addEventListener("keydown", (event) => this.#onTabKey(event));
    this.surface.addEventListener("wheel", (event) => this.#onWheel(event), { passive: false });
    this.wheel_px = 0;
    this.open(0);
    if (this.pictures.grey) wipe.attach(this);
  }

  async load() {
    for (const { pictures, index } of this.stacks) await pictures.load(index, () => this.draw());
  }

  open(number) {
    this.stack = this.stacks[number];
    const { plane, edges, positions_mm } = this.stack;
    [...this.tabs.children].forEach((tab, place) => {
      tab.setAttribute("aria-selected", place === number);
      tab.tabIndex = place === number ? 0 : -1;
    });
    this.frame.setAttribute("aria-labelledby", this.tabs.children[number].id);
    ["left", "right", "top", "bottom"].forEach((side, place) => {
      this.root.querySelector(`.edge[data-side=${side}]`).textContent = edges[place];
    });
    const [left, right, top, bottom] = edges.map((letter) => SIDES[letter] ?? letter);
    this.surface.setAttribute(
      "aria-label",
      `${named(plane)} section: ${left} is at the left, ${right} at the right, ` +
        `${top} at the top, ${bottom} at the bottom`,
    );
    this.range.setAttribute("aria-label", `${named(plane)} section, place in mm`);
    const digits = finestStep(positions_mm) < 1 ? 1 : 0;
    this.take(this.stack.pictures, this.stack.index, (index) => {
      const place = positions_mm[index].toFixed(digits).replace("-", "−");
      return `${named(plane)}, ${place}\u00a0mm`;
    });
    this.range.disabled = positions_mm.length < 2;
  }

  show(index) {
    super.show(index);
    this.stack.index = this.index;
  }

  // The longest round length within a quarter of the stage.
  onDrawn(scale) {
    const px_per_mm = scale / this.stack.mm_per_px;
    const fits = SCALES_MM.filter((mm) => mm * px_per_mm <= this.surface.clientWidth / 4);
    const mm = fits.at(-1) ?? SCALES_MM[0];
    this.root.querySelector(".scale span").textContent = `${mm} mm`;
    this.root.querySelector(".scale i").style.width = `${mm * px_per_mm}px`;
  }

  #addTab({ plane }, number) {
    const tab = document.createElement("button");
    tab.type = "button";
    tab.id = `plane-${number}`;
    tab.textContent = named(plane);
    tab.setAttribute("role", "tab");
    tab.setAttribute("aria-controls", "section");
    tab.addEventListener("click", () => this.open(number));
    this.tabs.append(tab);
  }

  #onTabKey(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const { length } = this.stacks;
    const number = (this.stacks.indexOf(this.stack) + step + length) % length;
    this.open(number);
    this.tabs.children[number].focus();
  }

  // Down goes to lower places, so in axial sections to the feet; past either end the page scrolls.
  #onWheel(event) {
    if (event.ctrlKey) return;
    const down = event.deltaY > 0;
    if (this.index === (down ? 0 : this.pictures.count - 1)) return;
    event.preventDefault();
    this.wheel_px += event.deltaMode ? Math.sign(event.deltaY) * WHEEL_STEP_PX : event.deltaY;
    const steps = Math.trunc(this.wheel_px / WHEEL_STEP_PX);
    this.wheel_px -= steps * WHEEL_STEP_PX;
    if (steps) this.show(this.index - steps);
  }
}

function named(plane) {
  return plane.charAt(0).toUpperCase() + plane.slice(1);
}

function finestStep(positions_mm) {
  const steps = positions_mm.slice(1).map((place, index) => Math.abs(place - positions_mm[index]));
  return Math.min(...steps);
}

const wipe = new Wipe(document.querySelector(".wipe"));
const turntable = new Turntable(document.querySelector(".stage.body"), wipe, content.views);
const sections =
  content.stacks.length > 0 &&
  new Sections(document.querySelector(".stage.sections"), wipe, content.stacks);

await turntable.load();
const isStill = matchMedia("(prefers-reduced-motion: reduce)").matches;
if (!isStill && !turntable.touched && turntable.pictures.count > 1) turntable.play();
if (sections) await sections.load();
document.documentElement.dataset.ready = "true";
