"""Mesh files: geometry and colours of OBJ, PLY, STL, GLB and GLTF, read only from the file and its folder.

Geometry is read by ``trimesh``; colours are read by the definition of each format:

- OBJ: ``Kd`` is a reflectance, linear; ``map_Kd`` is an image in displayed colours (sRGB), multiplied by ``Kd``;
  colours of vertices are sRGB and replace a material without an image;
- glTF: factors and colours of vertices are linear, images are sRGB; all are multiplied;
- PLY: colours of vertices and faces, and images, are sRGB.

Importing this module raises InputError without the extra ``render``.

A file that refers to a material or image that is missing, damaged or outside its folder is refused: without it the mesh
would be rendered in wrong colours.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import logging
import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast
from urllib.parse import unquote

import numpy as np

from neural_data.errors import InputError
from neural_data.formats.bounds import checked_file, inside, one_line, read_bytes, refuse_claim
from neural_data.images import decode_image, pixels_of, unit_range
from neurocompare.stimuli.geometry import Albedo
from neurocompare.stimuli.scene import needs_rendering

try:
    import trimesh
    from trimesh.resolvers import Resolver
    from trimesh.visual.color import ColorVisuals
except ImportError as error:
    raise InputError(needs_rendering("trimesh", error)) from error

__all__ = ["MESH_SUFFIXES", "PLAIN_ALBEDO", "Surface", "read_surface"]

log = logging.getLogger(__name__)

MESH_SUFFIXES = (".obj", ".ply", ".stl", ".glb", ".gltf")
PLAIN_ALBEDO = 0.6
"""Albedo of meshes without colours."""
MOST_CORNERS = 60_000_000
LARGEST_MESH = 2_000_000_000
MOST_TEXELS = 1024
"""Longer side to which textures are reduced, pixels; meshes are shown at a few hundred pixels."""
_OPTIONS = {"-blendu": 1, "-blendv": 1, "-bm": 1, "-boost": 1, "-cc": 1, "-clamp": 1, "-imfchan": 1, "-mm": 2}
_OPTIONS |= {"-o": 3, "-s": 3, "-t": 3, "-texres": 1, "-type": 1}
"""Options of an image in an MTL file, and how many values follow at most; those with three may have fewer."""
_COMPONENTS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT2": 4, "MAT3": 9, "MAT4": 16}


@dataclass(frozen=True)
class Surface:
    """Triangles with their colours and textures.

    Parameters
    ----------
    vertices : array of shape (n_vertices, 3)
        Positions (x, y, z).
    faces : integer array of shape (n_faces, 3)
        Triangles, as rows of ``vertices``.
    base : array of shape (n_vertices, 3)
        Linear colour, multiplied by the texture.
    uv : array of shape (n_vertices, 2)
        Texture coordinates, 0..1 from left to right and from bottom to top; 0 without a texture.
    texture : integer array of shape (n_vertices,)
        Index of the texture, -1 for none.
    textures : tuple of arrays of shape (height, width, 3)
        Linear colours.
    """

    vertices: np.ndarray
    faces: np.ndarray
    base: np.ndarray
    uv: np.ndarray
    texture: np.ndarray
    textures: tuple[np.ndarray, ...]


@dataclass(frozen=True)
class _Material:
    """One material of an MTL file."""

    diffuse: tuple[float, float, float] | None = None
    image: str | None = None
    scale: tuple[float, float] = (1.0, 1.0)
    offset: tuple[float, float] = (0.0, 0.0)
    clamp: bool = False


def read_surface(path: Path) -> Surface:
    """Geometry and colours of a mesh file.

    Parameters
    ----------
    path : Path
        With one of :data:`MESH_SUFFIXES`.

    Returns
    -------
    Surface
        All meshes of the file, at their positions in its scene.

    Raises
    ------
    InputError
        If the file is missing, damaged or not a mesh, or refers to a file that is missing, damaged or outside its
        folder.
    """
    checked_file(path, "mesh")
    if path.stat().st_size > LARGEST_MESH:
        raise InputError(f"{path}: is {path.stat().st_size / 1e9:.1f} GB; simplify the mesh first")
    reader = {".obj": _obj, ".ply": _ply, ".stl": _plain, ".glb": _gltf, ".gltf": _gltf}[path.suffix.lower()]
    try:
        parts, textures = reader(path)
    except InputError:
        raise
    except Exception as error:  # trimesh's parsers raise many types
        raise InputError(
            f"{path}: not readable as a mesh ({type(error).__name__}: {one_line(error)}); export it again"
        ) from error
    offsets = np.cumsum([0, *(len(part.vertices) for part in parts[:-1])])
    return Surface(
        np.concatenate([part.vertices for part in parts]),
        np.concatenate([part.faces + offset for part, offset in zip(parts, offsets, strict=True)]).astype(np.int64),
        np.concatenate([part.base for part in parts]),
        np.concatenate([part.uv for part in parts]),
        np.concatenate([part.texture for part in parts]),
        tuple(textures),
    )


def linear(displayed: np.ndarray) -> np.ndarray:
    """Linear colours from displayed colours (sRGB, IEC 61966-2-1), both 0..1."""
    displayed = np.asarray(displayed, dtype=float)
    return np.where(displayed <= 0.04045, displayed / 12.92, ((displayed + 0.055) / 1.055) ** 2.4)


def _parts_of(path: Path, resolver: _Served | _FolderOnly | None = None) -> list[trimesh.Trimesh]:
    # Trimesh asks a resolver for single files alone, which these two give.
    given = cast("Resolver | None", resolver)
    with path.open("rb") as file:
        loaded = trimesh.load_scene(file, file_type=path.suffix[1:].lower(), resolver=given, process=False)
    parts = [g for g in loaded.dump(concatenate=False) if isinstance(g, trimesh.Trimesh)]
    if not parts:
        clouds = [g for g in loaded.geometry.values() if not isinstance(g, trimesh.Trimesh)]
        n = sum(len(getattr(cloud, "vertices", ())) for cloud in clouds)
        if n:
            raise InputError(f"{path}: {n} vertices and no triangles; export faces, not a point cloud")
        raise InputError(f"{path}: holds no mesh")
    return parts


def _part(mesh: trimesh.Trimesh, base: Albedo, uv: np.ndarray | None = None, texture: int = -1) -> Surface:
    n = len(mesh.vertices)
    return Surface(
        np.asarray(mesh.vertices, dtype=float),
        np.asarray(mesh.faces),
        np.broadcast_to(np.asarray(base, dtype=float), (n, 3)).copy(),
        np.zeros((n, 2)) if uv is None else np.asarray(uv, dtype=float)[:, :2],
        np.full(n, texture),
        (),
    )


def _plain(path: Path) -> tuple[list[Surface], list[np.ndarray]]:
    return [_part(mesh, PLAIN_ALBEDO) for mesh in _parts_of(path)], []


def _coloured(mesh: trimesh.Trimesh, *, displayed: bool) -> Surface:
    """Surface of a mesh with the colours of its vertices or faces, or with the default colour."""
    visual = mesh.visual
    if not isinstance(visual, ColorVisuals):
        return _part(mesh, PLAIN_ALBEDO)
    if visual.kind == "face":
        # Triangles do not share vertices, so that colours do not blend across their edges.
        vertices = np.asarray(mesh.vertices)[mesh.faces].reshape(-1, 3)
        colours = np.repeat(np.asarray(visual.face_colors, dtype=float)[:, :3] / 255, 3, axis=0)
        mesh = trimesh.Trimesh(vertices, np.arange(len(vertices)).reshape(-1, 3), process=False)
    elif visual.kind == "vertex":
        colours = np.asarray(visual.vertex_colors, dtype=float)[:, :3] / 255
    else:
        return _part(mesh, PLAIN_ALBEDO)
    if len(colours) != len(mesh.vertices):
        return _part(mesh, PLAIN_ALBEDO)
    return _part(mesh, linear(colours) if displayed else colours)


def _texture(path: Path, name: str, of: str) -> np.ndarray:
    """Linear colours of an image beside the mesh."""
    name = name.replace("\\", "/").strip().strip('"')
    where = f"{path}: its texture {name!r}"
    if not (path.parent / name).exists() and not Path(name).is_absolute():
        name = _in_another_case(path.parent, name)
    try:
        file = inside(path.parent, name, where)
    except InputError as error:
        if "is missing" in str(error):
            raise InputError(f"{where} is missing; put it beside the mesh, or export without ({of})") from None
        raise
    return _linear_pixels(decode_image(read_bytes(file, what="texture"), where).pixels)


def _linear_pixels(pixels: np.ndarray) -> np.ndarray:
    """Linear colours of a texture, float32; textures of more than 1,024 pixels are averaged down to that size."""
    block = -(-max(pixels.shape[:2]) // MOST_TEXELS)
    if block == 1:
        shades = _linear_shades(pixels)
    else:
        starts = np.arange(0, pixels.shape[1], block)
        sizes = np.diff(np.append(starts, pixels.shape[1])).reshape(-1, *[1] * (pixels.ndim - 2))
        strips = (_linear_shades(pixels[top : top + block]).mean(axis=0) for top in range(0, len(pixels), block))
        shades = np.stack([(np.add.reduceat(strip, starts, axis=0) / sizes).astype(np.float32) for strip in strips])
    return shades if shades.ndim == 3 else np.repeat(shades[:, :, None], 3, axis=2)


def _linear_shades(pixels: np.ndarray) -> np.ndarray:
    if pixels.dtype == np.uint8:
        return linear(np.arange(256) / 255).astype(np.float32)[pixels]
    return linear(unit_range(pixels)).astype(np.float32)


def _in_another_case(folder: Path, name: str) -> str:
    """Name of the file that differs from ``name`` only in case, as Windows and macOS would find it."""
    place = folder / Path(name).parent
    if not place.is_dir() or ".." in Path(name).parts:
        return name
    like = [file.name for file in place.iterdir() if file.name.lower() == Path(name).name.lower()]
    return (Path(name).parent / like[0]).as_posix() if len(like) == 1 else name


def _lines(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            yield line.strip()


def _obj(path: Path) -> tuple[list[Surface], list[np.ndarray]]:
    libraries, used, coloured = [], [], False
    for number, line in enumerate(_lines(path), start=1):
        word = line[:7].lower()
        if word == "mtllib ":
            libraries.append(line[7:].strip())
        elif word == "usemtl ":
            used.append(line[7:].strip())
        elif word.startswith("v "):
            n = len(line.split()) - 1
            if n < 3:
                raise InputError(
                    f"{path}: line {number}, {line[:60]!r}: a vertex needs x, y and z; export the mesh again"
                )
            coloured = coloured or n >= 6
    materials: dict[str, _Material] = {}
    for library in libraries:
        for file in _library_files(path, library):
            materials |= _materials(file, path)
    wanted = list(dict.fromkeys(" ".join(name.split()) for name in used))
    absent = [name for name in wanted if name not in materials]
    if absent and libraries:
        raise InputError(
            f"{path}: its material {absent[0]!r} is in none of its material files ({', '.join(libraries)}); export it "
            "anew, or remove the line mtllib to show it without colours"
        )
    images = list(dict.fromkeys(m.image for name, m in materials.items() if m.image is not None and name in wanted))
    textures = [_texture(path, name, "map_Kd of its material file") for name in images]
    plain_names = "".join(f"newmtl {name}\nKd 1 1 1\n" for name in materials)
    served = "" if coloured and not images else plain_names
    surfaces = []
    for mesh in _parts_of(path, _Served(served)):
        named = getattr(getattr(mesh.visual, "material", None), "name", None)
        material = materials.get(named) if served and named is not None else None
        if material is None:
            surfaces.append(_coloured(mesh, displayed=True))
            continue
        base = material.diffuse
        if material.image is None:
            surfaces.append(_part(mesh, PLAIN_ALBEDO if base is None else base))
            continue
        uv = getattr(mesh.visual, "uv", None)
        if uv is None or len(uv) != len(mesh.vertices):
            raise InputError(
                f"{path}: its material {named!r} has a texture, but the triangles have no texture coordinates (vt); "
                "export these, or export without the texture"
            )
        uv = np.asarray(uv)[:, :2] * material.scale + material.offset
        uv = np.clip(uv, 0, 1) if material.clamp else uv
        # Many exporters write Kd 0 with an image; multiplied, the texture would be black.
        base = (1.0, 1.0, 1.0) if base is None or not any(base) else base
        surfaces.append(_part(mesh, base, uv, images.index(material.image)))
    return surfaces, textures


class _Served:
    """Resolver that gives trimesh the names of the materials and reads nothing from disk."""

    def __init__(self, materials: str):
        self.materials = materials

    def get(self, name: str) -> bytes:
        """The materials, whatever the file name."""
        del name
        return self.materials.encode("utf-8", "surrogateescape")

    def __getitem__(self, name: str) -> bytes:
        return self.get(name)


def _library_files(path: Path, line: str) -> list[Path]:
    """Material files of an ``mtllib`` line, which holds one name with blanks in it, or several names."""
    line = line.replace("\\", "/").strip('"')
    whole = (path.parent / line).is_file()
    found = []
    for name in [line] if whole else line.split():
        where = f"{path}: its material file {name!r}"
        try:
            found.append(inside(path.parent, _in_another_case(path.parent, name), where))
        except InputError as error:
            if "is missing" in str(error):
                raise InputError(
                    f"{where} is missing; put it beside the mesh, or remove the line mtllib to show it without colours"
                ) from None
            raise
    return found


def _materials(file: Path, mesh: Path) -> dict[str, _Material]:
    """Materials of an MTL file by name."""
    found: dict[str, _Material] = {}
    name = None
    for line in _lines(file):
        word, _, rest = line.partition(" ")
        word, rest = word.lower(), rest.strip()
        if "\t" in word:
            word, _, rest = (part.strip() for part in line.lower().partition("\t"))
        if word == "newmtl":
            name = " ".join(rest.split())
            found[name] = _Material()
        elif name is not None and word == "kd":
            diffuse = _reflectance(rest, f"{mesh}: {file.name}: Kd of {name!r}")
            found[name] = dataclasses.replace(found[name], diffuse=diffuse)
        elif name is not None and word == "map_kd" and rest:
            found[name] = _with_image(found[name], rest, f"{mesh}: {file.name}: map_Kd of {name!r}")
    return found


def _reflectance(text: str, where: str) -> tuple[float, float, float]:
    try:
        values = [float(value) for value in text.split()]
    except ValueError:
        values = []
    values = values * 3 if len(values) == 1 else values
    if len(values) < 3 or not all(np.isfinite(value) and 0 <= value <= 1 for value in values[:3]):
        raise InputError(f"{where} is {text!r}; three numbers from 0 to 1 are needed")
    return values[0], values[1], values[2]


def _with_image(material: _Material, text: str, where: str) -> _Material:
    """The material with the image of a ``map_Kd`` line and its options; the image's name may have blanks."""
    words = re.findall(r"\S+", text)
    place = 0
    while place < len(words) and words[place].lower() in _OPTIONS:
        option, most = words[place].lower(), _OPTIONS[words[place].lower()]
        values = []
        for word in words[place + 1 : place + 1 + most]:
            if most == 3 and not re.fullmatch(r"[-+]?[0-9.]+([eE][-+]?[0-9]+)?", word):
                break
            values.append(word)
        place += 1 + len(values)
        if option in ("-s", "-o"):
            numbers = [float(value) for value in values]
            if not numbers:
                raise InputError(f"{where}: {option} must be followed by a number; export it again")
            if option == "-s":
                material = dataclasses.replace(material, scale=(numbers[0], [*numbers, 1.0][1]))
            else:
                material = dataclasses.replace(material, offset=(numbers[0], [*numbers, 0.0][1]))
        elif option == "-clamp":
            material = dataclasses.replace(material, clamp=[value.lower() for value in values] == ["on"])
        elif (option == "-mm" and [float(v) for v in values] != [0.0, 1.0]) or (
            option == "-t" and any(float(value) for value in values)
        ):
            raise InputError(
                f"{where}: the option {option} is not supported; apply it to the image, and export without it"
            )
    # The rest of the line unchanged: names may hold several blanks.
    starts = [match.start() for match in re.finditer(r"\S+", text)]
    if place >= len(words):
        raise InputError(f"{where} names no image")
    return dataclasses.replace(material, image=text[starts[place] :].strip().strip('"'))


def _ply(path: Path) -> tuple[list[Surface], list[np.ndarray]]:
    name = _texture_of_ply(path)
    if name is None:
        return [_coloured(mesh, displayed=True) for mesh in _parts_of(path, _Served(""))], []
    texture = _texture(path, name, "TextureFile in its header")
    surfaces = []
    for mesh in _parts_of(path, _Served("")):
        uv = getattr(mesh.visual, "uv", None)
        if uv is None or len(uv) != len(mesh.vertices):
            raise InputError(f"{path}: has a texture, but no texture coordinates; export these")
        surfaces.append(_part(mesh, 1.0, uv, 0))
    return surfaces, [texture]


def _texture_of_ply(path: Path) -> str | None:
    with path.open("rb") as file:
        head = file.read(65_536).split(b"end_header")[0]
    for line in head.decode("utf-8", "replace").splitlines():
        match = re.match(r"\s*comment\s+texturefile\s+(.+)", line, re.IGNORECASE)
        if match:
            return match[1].strip()
    return None


def _gltf(path: Path) -> tuple[list[Surface], list[np.ndarray]]:
    tree, binary = _gltf_tree(path)
    images = _gltf_images(tree, binary, path)
    _check_gltf(tree, path)
    surfaces: list[Surface] = []
    textures: list[np.ndarray] = []
    known: dict[int, int] = {}
    for mesh in _parts_of(path, _FolderOnly(path)):
        material = getattr(mesh.visual, "material", None)
        if material is None:
            surfaces.append(_coloured(mesh, displayed=False))
            continue
        factor = getattr(material, "baseColorFactor", None)
        base = np.ones(3) if factor is None else np.asarray(factor, dtype=float)[:3] / 255
        colours = getattr(mesh.visual, "vertex_attributes", {}).get("color")
        if colours is not None and len(colours) == len(mesh.vertices):
            colours = np.asarray(colours)
            base = (
                base
                * colours[:, :3].astype(float)
                / (np.iinfo(colours.dtype).max if colours.dtype.kind == "u" else 1.0)
            )
        image = getattr(material, "baseColorTexture", None)
        if image is None:
            if images and _names_a_texture(tree, material.name):
                raise InputError(f"{path}: one of its textures is not readable; export it again as PNG or JPEG")
            surfaces.append(_part(mesh, base))
            continue
        uv = getattr(mesh.visual, "uv", None)
        if uv is None or len(uv) != len(mesh.vertices):
            raise InputError(
                f"{path}: a material has a texture, but the triangles have no texture coordinates; export it again"
            )
        if id(image) not in known:
            known[id(image)] = len(textures)
            opaque = image.convert("RGB") if image.mode in ("RGBA", "P", "PA") else image
            textures.append(_linear_pixels(pixels_of(opaque, f"{path}: a texture")))
        surfaces.append(_part(mesh, base, uv, known[id(image)]))
    return surfaces, textures


class _FolderOnly:
    """Resolver that gives trimesh files of the glTF's folder and no others."""

    def __init__(self, path: Path):
        self.path = path

    def get(self, name: str) -> bytes:
        """Bytes of a file that the glTF refers to."""
        name = unquote(name)
        return read_bytes(inside(self.path.parent, name, f"{self.path}: its file {name!r}"), largest=LARGEST_MESH)

    def __getitem__(self, name: str) -> bytes:
        return self.get(name)


def _gltf_tree(path: Path) -> tuple[dict, bytes]:
    """JSON of a glTF, and the binary part of a GLB."""
    content = read_bytes(path, largest=LARGEST_MESH, what="mesh")
    binary = b""
    if path.suffix.lower() == ".glb":
        if len(content) < 20 or content[:4] != b"glTF":
            raise InputError(f"{path}: not readable as a mesh (it does not start as a GLB); export it again")
        length = struct.unpack("<I", content[12:16])[0]
        header, rest = content[20 : 20 + length], content[20 + length :]
        binary = rest[8:]
    else:
        header = content
    try:
        tree = json.loads(header)
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{path}: not readable as a mesh (its header is broken: {one_line(error)}); export it again"
        ) from error
    if not isinstance(tree, dict):
        raise InputError(f"{path}: not readable as a mesh (its header is no glTF); export it again")
    return tree, binary


def _gltf_images(tree: Mapping, binary: bytes, path: Path) -> int:
    """Number of images of a glTF. Each is decoded once: trimesh would silently skip a damaged one."""
    views = tree.get("bufferViews", [])
    for number, image in enumerate(tree.get("images", [])):
        uri, view = image.get("uri"), image.get("bufferView", -1)
        where = f"{path}: its texture {uri[:60] if uri and not uri.startswith('data:') else number!r}"
        if uri is None and not 0 <= view < len(views):
            raise InputError(f"{path}: one of its textures is missing from the file; export it again")
        if uri is None:
            start = views[view].get("byteOffset", 0)
            content = binary[start : start + views[view].get("byteLength", 0)] if binary else None
            if content is not None:
                decode_image(content, where)
        elif uri.startswith("data:"):
            decode_image(base64.b64decode(uri.partition(",")[2]), where)
        else:
            _texture(path, unquote(uri), "an image of the glTF")
    return len(tree.get("images", []))


def _names_a_texture(tree: Mapping, name: str | None) -> bool:
    named = [m for m in tree.get("materials", []) if name is None or m.get("name") == name]
    return any("baseColorTexture" in m.get("pbrMetallicRoughness", {}) for m in named)


def _check_gltf(tree: Mapping, path: Path) -> None:
    """Refuse a glTF that would not fit into memory, names files outside its folder, or has unsupported textures."""
    for buffer in tree.get("buffers", []):
        uri = buffer.get("uri")
        if uri is not None and not uri.startswith("data:"):
            inside(path.parent, unquote(uri), f"{path}: its buffer {uri!r}")
    accessors = tree.get("accessors", [])
    for accessor in accessors:
        claim = accessor.get("count", 0) * _COMPONENTS.get(accessor.get("type"), 16) * 8
        refuse_claim(
            claim, path, f"an accessor of {accessor.get('count', 0):,} values", on_disk=_size_of_all(tree, path)
        )
    for material in tree.get("materials", []):
        used = material.get("pbrMetallicRoughness", {}).get("baseColorTexture", {})
        if used.get("texCoord", 0) != 0:
            raise InputError(
                f"{path}: a texture uses a second set of coordinates, which is not supported; bake it again"
            )
        moved = used.get("extensions", {}).get("KHR_texture_transform", {})
        if moved.get("offset", [0, 0]) != [0, 0] or moved.get("scale", [1, 1]) != [1, 1] or moved.get("rotation", 0):
            raise InputError(
                f"{path}: a texture is moved (KHR_texture_transform), which is not supported; bake it again"
            )
    parents = [child for node in tree.get("nodes", []) for child in node.get("children", [])]
    if len(set(parents)) != len(parents):
        raise InputError(f"{path}: not readable as a mesh (a node of its scene has two parents); export it again")
    corners = 0
    for node in tree.get("nodes", []):
        if "mesh" in node:
            for primitive in tree["meshes"][node["mesh"]].get("primitives", []):
                number = primitive.get("indices", primitive.get("attributes", {}).get("POSITION"))
                corners += accessors[number]["count"] if number is not None else 0
    if corners > MOST_CORNERS:
        raise InputError(f"{path}: {corners // 3:,} triangles; at most {MOST_CORNERS // 3:,} are read, so simplify it")


def _size_of_all(tree: Mapping, path: Path) -> int:
    return path.stat().st_size + sum(
        (path.parent / unquote(buffer["uri"])).stat().st_size
        for buffer in tree.get("buffers", [])
        if "uri" in buffer and not buffer["uri"].startswith("data:")
    )
