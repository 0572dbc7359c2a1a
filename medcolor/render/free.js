// The second tab: the body turned freely, its opacity by tissue, one plane that cuts it.
//
// Code of the viewer (NiiVue) and voxels are packed text in the page. They are unpacked when the tab
// is opened for the first time; nothing is loaded from elsewhere. What hands do comes here, not to
// the viewer, which only draws.

const MOST_PIXELS_PER_PX = 2; // Rays for more cost time and show nothing.
const ZOOM = { least: 0.5, most: 5 };
const KEY_STEP_DEG = 5;
const DRAG_DEG = 180; // Across the whole stage.
const THINNEST = 0.02; // Of all opacities, at the left end of the range.
const MATCAP_PX = 128;
const BORDER = 2; // Voxels around one that is not solid, from which it takes colours.
const NEARNESS = Array.from({ length: 3 * BORDER ** 2 + 1 }, (_, square) => Math.exp(-square / 2));
const SOLID = 0.9; // Of the largest opacity.
const INVISIBLE = 5; // Of 255.
// Of each plane: array axis (z, y, x); the side that is cut away as the viewer names it (azimuth,
// elevation) and as a direction (LPS); views of the cut face from there and from the other side
// (angle and tilt, where they matter).
const CUTS = {
  axial: { axis: 0, away: [0, 90], side: [0, 0, 1], views: [[null, 40], [null, -40]] },
  coronal: { axis: 1, away: [180, 0], side: [0, -1, 0], views: [[20, 10], [200, 10]] },
  sagittal: { axis: 2, away: [90, 0], side: [-1, 0, 0], views: [[305, 10], [55, 10]] },
};
const NO_CUT = [2, 0, 0];
// Where the viewer's shader begins a ray behind a cut: anywhere within three voxels, which makes cut
// faces grainy. It is to begin at the plane.
const GRAINY = "samplePos += deltaDir * ran * 1.41;";
const EVEN = `{
  samplePos += vec4(dir, 1.0) * max(0.0, sampleRange.x + 0.01 * stepSize - samplePos.a);
  samplePos += deltaDir * ran * 0.25;
}`;
const OBLIQUE = 0.35; // Cosine between camera and cut face: less, and the camera goes to see it.

const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
const named = (word) => word.charAt(0).toUpperCase() + word.slice(1);

async function unpacked(base64) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < bytes.length; at += 1) bytes[at] = text.charCodeAt(at);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}

// Run the viewer's code; the page's policy names its digest.
async function loadViewer(packed) {
  const script = document.createElement("script");
  script.textContent = new TextDecoder().decode(await unpacked(packed));
  document.head.append(script);
  script.remove();
  return window.niivue;
}

// The light of the pictures as the viewer takes it: a picture of a lit ball (a matcap), which the
// viewer makes twice as bright. What faces the lamp is as bright as a cut face, which gets no light.
function matcap({ direction_deg, ambient, diffuse, specular, specularPower }) {
  const canvas = Object.assign(document.createElement("canvas"), {
    width: MATCAP_PX,
    height: MATCAP_PX,
  });
  const context = canvas.getContext("2d");
  const image = context.createImageData(MATCAP_PX, MATCAP_PX);
  const [left, above] = direction_deg.map((deg) => (deg * Math.PI) / 180);
  const toLight = [-Math.sin(left) * Math.cos(above), Math.sin(above), Math.cos(left) * Math.cos(above)];
  for (let row = 0; row < MATCAP_PX; row += 1) {
    for (let col = 0; col < MATCAP_PX; col += 1) {
      const x = (2 * (col + 0.5)) / MATCAP_PX - 1;
      const y = 1 - (2 * (row + 0.5)) / MATCAP_PX;
      const z = Math.sqrt(Math.max(0, 1 - x * x - y * y));
      const facing = Math.max(0, x * toLight[0] + y * toLight[1] + z * toLight[2]);
      const mirrored = Math.max(0, 2 * facing * z - toLight[2]);
      const shade = ambient + diffuse * facing + specular * mirrored ** specularPower;
      const value = (127.5 * shade) / (ambient + diffuse);
      image.data.set([value, value, value, 255], 4 * (row * MATCAP_PX + col));
    }
  }
  context.putImageData(image, 0, 0);
  return canvas.toDataURL();
}

// Return voxels (RGBA) whose border has the colours of the tissue that `alphas` shows: what is half
// of it, and what is just outside, take those of the more solid voxels around. The embedded colours
// are like that for the first opacity alone.
function borderColored(voxels, alphas, [slices, rows, cols]) {
  const colored = voxels.slice();
  const solid = SOLID * alphas.reduce((most, alpha) => Math.max(most, alpha), 1);
  const weights = Array.from({ length: 256 }, (_, alpha) => Math.min(1, alpha / solid) ** 4);
  const near = (place, count) => [Math.max(0, place - BORDER), Math.min(count - 1, place + BORDER)];
  for (let z = 0; z < slices; z += 1) {
    const [zFrom, zTo] = near(z, slices);
    for (let y = 0; y < rows; y += 1) {
      const [yFrom, yTo] = near(y, rows);
      for (let x = 0; x < cols; x += 1) {
        const at = (z * rows + y) * cols + x;
        if (alphas[at] >= solid) continue;
        const [xFrom, xTo] = near(x, cols);
        let [red, green, blue, total, least] = [0, 0, 0, 0, 255];
        for (let k = zFrom; k <= zTo; k += 1) {
          for (let j = yFrom; j <= yTo; j += 1) {
            for (let i = xFrom; i <= xTo; i += 1) {
              const other = (k * rows + j) * cols + i;
              const alpha = alphas[other];
              if (alpha < least) least = alpha;
              if (alpha === 0) continue;
              const weight = weights[alpha] * NEARNESS[(k - z) ** 2 + (j - y) ** 2 + (i - x) ** 2];
              total += weight;
              red += weight * voxels[4 * other];
              green += weight * voxels[4 * other + 1];
              blue += weight * voxels[4 * other + 2];
            }
          }
        }
        // What is thin inside keeps its own colours.
        if (total === 0 || least > INVISIBLE) continue;
        colored[4 * at] = red / total;
        colored[4 * at + 1] = green / total;
        colored[4 * at + 2] = blue / total;
      }
    }
  }
  return colored;
}

// Give a canvas a context in which the viewer's shaders draw even cut faces.
function prepareContext(canvas) {
  const context = canvas.getContext("webgl2", { alpha: true, antialias: true });
  const { shaderSource } = context;
  context.shaderSource = (shader, text) =>
    shaderSource.call(context, shader, text.replace(GRAINY, EVEN));
}

class FreeView {
  constructor(root) {
    this.root = root;
    this.surface = root.querySelector(".surface");
    this.caption = root.querySelector(".caption");
    this.density = root.querySelector("#density");
    this.place = root.querySelector("#cut-place");
    this.flip = root.querySelector(".flip");
    this.cut = "none";
    this.isFlipped = false;
    this.pointers = new Map();
  }

  // Unpack all and draw it, once; tell whether it is there.
  open() {
    this.opened ??= this.#open().then(
      () => true,
      (error) => this.#fail(error.message),
    );
    return this.opened;
  }

  #fail(reason) {
    this.caption.textContent = `3-D cannot be shown here: ${reason}`;
    this.#setUsable(false);
    return false;
  }

  #setUsable(isUsable) {
    for (const one of this.root.querySelectorAll(".surface, .sizes, .knobs")) one.inert = !isUsable;
  }

  async #open() {
    this.caption.textContent = "Unpacking …";
    if (!document.createElement("canvas").getContext("webgl2")) throw new Error("no WebGL 2");
    await new Promise((resolve) => setTimeout(resolve)); // The words are on the screen first.
    this.data = JSON.parse(document.getElementById("free-view").textContent);
    const { Niivue, NVImage, SLICE_TYPE } = await loadViewer(this.data.code);
    this.viewer = new Niivue({
      backColor: [...this.data.background.map((value) => value / 255), 1],
      clipPlaneColor: [0, 0, 0, 0],
      dragAndDropEnabled: false,
      forceDevicePixelRatio: Math.min(MOST_PIXELS_PER_PX, window.devicePixelRatio || 1),
      interactive: false,
      loadingText: "",
      logLevel: "error",
      sliceType: SLICE_TYPE.RENDER,
    });
    const canvas = this.surface.querySelector("canvas");
    canvas.addEventListener("webglcontextlost", () => this.#fail("the browser ended it; reload the page"));
    prepareContext(canvas);
    await this.viewer.attachToCanvas(canvas, true);
    this.surface.style.backgroundColor = "";
    const nifti = await unpacked(this.data.nifti);
    this.viewer.addVolume(await NVImage.new(nifti, "body.nii"));
    this.voxels = this.viewer.volumes[0].img;
    this.colors = { [this.data.shown]: this.voxels.slice() };
    this.alphas = { [this.data.shown]: this.voxels.filter((_, at) => at % 4 === 3) };
    for (const [name, packed] of Object.entries(this.data.others)) {
      this.alphas[name] = new Uint8Array(await unpacked(packed));
    }
    const { light } = this.data;
    if (light) {
      await this.viewer.loadMatCapTexture(matcap(light));
      await this.viewer.setVolumeRenderIllumination(1);
    }
    this.#listen();
    this.#setUsable(true);
    this.#turnBack();
  }

  #listen() {
    const names = Object.keys(this.alphas);
    this.shown = this.data.shown;
    this.root.querySelector("#shown div").append(...names.map((name) => this.#choice(name)));
    const [z, y, x] = this.data.shape;
    const mm = this.data.spacing_mm.map((side) => Number(side.toPrecision(3)));
    const voxels = `${x} × ${y} × ${z} voxels of ${mm[2]} × ${mm[1]} × ${mm[0]} mm`;
    this.root.querySelector("#free-voxels").textContent = voxels;
    this.density.addEventListener("input", () => this.#weigh());
    for (const one of this.root.querySelectorAll("[name=cut]")) {
      one.addEventListener("change", () => this.#choosePlane(one.value));
    }
    this.place.addEventListener("input", () => this.#clip());
    this.flip.addEventListener("click", () => this.#flipCut());
    for (const button of this.root.querySelectorAll("[data-zoom]")) {
      button.addEventListener("click", () => this.#zoomBy(Number(button.dataset.zoom)));
    }
    this.root.querySelector(".back").addEventListener("click", () => this.#turnBack());
    this.surface.addEventListener("keydown", (event) => this.#onKey(event));
    this.surface.addEventListener("wheel", (event) => this.#onWheel(event), { passive: false });
    this.surface.addEventListener("pointerdown", (event) => this.#onDown(event));
    this.surface.addEventListener("pointermove", (event) => this.#onMove(event));
    this.surface.addEventListener("lostpointercapture", (event) => {
      this.pointers.delete(event.pointerId);
    });
    fill(this.density);
  }

  #choice(name) {
    const label = document.createElement("label");
    const input = Object.assign(document.createElement("input"), { type: "radio", name: "shown" });
    const words = Object.assign(document.createElement("span"), { textContent: named(name) });
    input.value = name;
    input.checked = name === this.shown;
    input.addEventListener("change", () => {
      this.shown = name;
      this.#weigh();
    });
    label.append(input, words);
    return label;
  }

  // Give every voxel the opacity of what is chosen, thinned as light is: once more of the same
  // stuff lets through the product.
  #weigh() {
    fill(this.density);
    const density = THINNEST ** (1 - this.density.value / 100);
    this.density.setAttribute("aria-valuetext", `${Math.round(100 * density)} %`);
    const table = Uint8Array.from({ length: 256 }, (_, alpha) =>
      density === 1 ? alpha : Math.round(255 * (1 - (1 - Math.min(alpha, 254) / 255) ** density)),
    );
    const alphas = this.alphas[this.shown];
    this.voxels.set(this.#colors());
    for (let at = 0; at < alphas.length; at += 1) this.voxels[4 * at + 3] = table[alphas[at]];
    this.#soon({ changed: true });
  }

  // Voxels in the colours of what is chosen, made once for each tissue.
  #colors() {
    this.colors[this.shown] ??= borderColored(
      this.colors[this.data.shown],
      this.alphas[this.shown],
      this.data.shape,
    );
    return this.colors[this.shown];
  }

  #choosePlane(plane) {
    this.cut = plane;
    this.root.querySelector("#place").hidden = plane === "none";
    if (plane !== "none") {
      this.place.max = this.data.shape[CUTS[plane].axis];
      this.place.value = Math.round(this.place.max / 2);
      this.#faceCut();
    }
    this.#clip();
  }

  // The camera goes to where the cut face is seen.
  #faceCut() {
    const { side, views } = CUTS[this.cut];
    const { camera } = directions(this.angle_deg, this.tilt_deg);
    const facing = camera.reduce((sum, value, axis) => sum + value * side[axis], 0);
    if ((this.isFlipped ? -facing : facing) >= OBLIQUE) return;
    const [angle_deg, tilt_deg] = views[this.isFlipped ? 1 : 0];
    this.#turn(angle_deg ?? this.angle_deg, tilt_deg);
  }

  #flipCut() {
    this.isFlipped = !this.isFlipped;
    this.flip.setAttribute("aria-pressed", this.isFlipped);
    this.#faceCut();
    this.#clip();
  }

  // The place counts voxels from the feet, the front, the right side.
  #clip() {
    if (this.cut === "none") {
      this.viewer.setClipPlane(NO_CUT);
    } else {
      const { axis, away: [azimuth, elevation], side } = CUTS[this.cut];
      const fromCentre = this.place.value / this.data.shape[axis] - 0.5;
      const depth = side[2 - axis] > 0 ? fromCentre : -fromCentre;
      this.viewer.setClipPlane(
        this.isFlipped ? [-depth, azimuth + 180, -elevation] : [depth, azimuth, elevation],
      );
      const mm = this.data.first_mm[axis] + (this.place.value - 0.5) * this.data.spacing_mm[axis];
      this.cutWords = `${this.cut} cut at ${mm.toFixed(0).replace("-", "−")}\u00a0mm`;
      this.place.setAttribute("aria-valuetext", this.cutWords);
      fill(this.place);
    }
    this.#describe();
  }

  #turn(angle_deg, tilt_deg) {
    this.angle_deg = ((angle_deg % 360) + 360) % 360;
    this.tilt_deg = clamp(tilt_deg, -90, 90);
    this.#soon();
  }

  #turnBack() {
    this.zoom = 1;
    this.#turn(this.data.angle_deg, this.data.tilt_deg);
  }

  #zoomBy(factor) {
    this.zoom = clamp(this.zoom * factor, ZOOM.least, ZOOM.most);
    this.#soon();
  }

  // Draw once for all that has changed until the screen's next frame.
  #soon({ changed = false } = {}) {
    this.#describe();
    this.isChanged ||= changed;
    this.next ??= requestAnimationFrame(async () => {
      this.next = undefined;
      const { viewer } = this;
      if (this.isChanged) {
        this.isChanged = false;
        await viewer.refreshLayers(viewer.volumes[0], 0);
      }
      viewer.scene.renderAzimuth = 180 - this.angle_deg;
      viewer.scene.renderElevation = this.tilt_deg;
      viewer.scene.volScaleMultiplier = this.zoom;
      viewer.drawScene();
    });
  }

  // Words for the view, and which side of the patient is at each side of the frame.
  #describe() {
    const { right, up } = directions(this.angle_deg, this.tilt_deg);
    const sides = { right, left: opposite(right), top: up, bottom: opposite(up) };
    for (const [side, direction] of Object.entries(sides)) {
      this.root.querySelector(`.edge[data-side=${side}]`).textContent = letter(direction);
    }
    const tilt = Math.round(this.tilt_deg);
    const view = [`${Math.round(this.angle_deg) % 360}°`];
    if (tilt) view.push(`from ${Math.abs(tilt)}° ${tilt > 0 ? "above" : "below"}`);
    if (this.cut !== "none") view.push(this.cutWords);
    this.caption.textContent = view.join(", ");
  }

  #onDown(event) {
    if (event.button !== 0) return;
    this.surface.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, event);
  }

  // One pointer turns, two change the size.
  #onMove(event) {
    const last = this.pointers.get(event.pointerId);
    if (!last) return;
    this.pointers.set(event.pointerId, event);
    if (this.pointers.size === 2) {
      const [other] = [...this.pointers.values()].filter((one) => one !== event);
      this.#zoomBy(distance(event, other) / Math.max(1, distance(last, other)));
    } else if (this.pointers.size === 1) {
      const step_deg = DRAG_DEG / this.surface.clientWidth;
      this.#turn(
        this.angle_deg - step_deg * (event.clientX - last.clientX),
        this.tilt_deg + step_deg * (event.clientY - last.clientY),
      );
    }
  }

  // At the ends of the zoom the page scrolls on.
  #onWheel(event) {
    const before = this.zoom;
    this.#zoomBy(Math.exp(-(event.deltaMode ? 40 * Math.sign(event.deltaY) : event.deltaY) / 500));
    if (this.zoom !== before) event.preventDefault();
  }

  #onKey(event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const step = {
      ArrowRight: [KEY_STEP_DEG, 0],
      ArrowLeft: [-KEY_STEP_DEG, 0],
      ArrowUp: [0, KEY_STEP_DEG],
      ArrowDown: [0, -KEY_STEP_DEG],
    }[event.key];
    if (step) this.#turn(this.angle_deg + step[0], this.tilt_deg + step[1]);
    else if (event.key === "+") this.#zoomBy(1.25);
    else if (event.key === "-") this.#zoomBy(0.8);
    else if (event.key === "Home") this.#turnBack();
    else return;
    event.preventDefault();
  }
}

// Where the camera is, and what is right and up on the screen: left, posterior, superior (LPS).
function directions(angle_deg, tilt_deg) {
  const [turn, tilt] = [angle_deg, tilt_deg].map((deg) => (deg * Math.PI) / 180);
  const [flat, steep] = [Math.cos(tilt), Math.sin(tilt)];
  return {
    camera: [Math.sin(turn) * flat, -Math.cos(turn) * flat, steep],
    right: [Math.cos(turn), Math.sin(turn), 0],
    up: [-Math.sin(turn) * steep, Math.cos(turn) * steep, flat],
  };
}

function letter(direction) {
  const sizes = direction.map(Math.abs);
  const axis = sizes.indexOf(Math.max(...sizes));
  return ["RL", "AP", "IS"][axis][direction[axis] > 0 ? 1 : 0];
}

function opposite(direction) {
  return direction.map((value) => -value);
}

function distance(one, other) {
  return Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
}

function fill(range) {
  range.style.setProperty("--filled", `${(100 * range.value) / range.max}%`);
}

// The two tabs.
const tabs = [...document.querySelectorAll(".views [role=tab]")];
const view = new FreeView(document.getElementById("free"));

async function choose(chosen) {
  for (const tab of tabs) {
    const isChosen = tab === chosen;
    tab.setAttribute("aria-selected", isChosen);
    tab.tabIndex = isChosen ? 0 : -1;
    document.getElementById(tab.getAttribute("aria-controls")).hidden = !isChosen;
  }
  if (chosen.id !== "tab-free") return;
  document.querySelector(".play[data-playing=true]")?.click();
  if (await view.open()) document.documentElement.dataset.free = "true";
}

for (const tab of tabs) {
  tab.addEventListener("click", () => choose(tab));
  tab.addEventListener("keydown", (event) => {
    if (event.key !== "ArrowRight" && event.key !== "ArrowLeft") return;
    const other = tabs[1 - tabs.indexOf(tab)];
    choose(other);
    other.focus();
  });
}
document.getElementById("pictures").setAttribute("role", "tabpanel");
document.getElementById("pictures").setAttribute("aria-labelledby", "tab-pictures");
document.querySelector(".views").hidden = false;
