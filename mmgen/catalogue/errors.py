"""What can go wrong with a catalogue, as leaves of the common tree."""

from __future__ import annotations

from mmgen.errors import DataError, MmgenWarning, ModelError, RequestError


class CatalogueMissing(DataError):
    code = "catalogue.missing"
    template = "no catalogue is called {name}; there are: {allowed}"


class CatalogueNewer(DataError):
    code = "catalogue.newer"
    template = (
        "{path} was made by a newer mmgen (format {got}, this one reads {limit}); update mmgen"
    )


class CatalogueBroken(DataError):
    code = "catalogue.broken"
    template = (
        "the catalogue {path} cannot be read ({reason}); restore it or add its pictures again"
    )


class CatalogueOtherModel(ModelError):
    code = "catalogue.other_model"
    template = (
        "the catalogue {name} holds vectors of the retrieval model {theirs}, and {ours} is in use; "
        "encode its pictures anew with: mmgen catalogue check {name} --rebuild"
    )


class CatalogueEmpty(DataError):
    code = "catalogue.empty"
    template = "the catalogue {name} holds no picture; add some with: mmgen catalogue add FOLDER"


class CatalogueReadOnly(RequestError):
    code = "catalogue.read_only"
    template = "the catalogue {name} ships with mmgen and cannot be changed; use another name"


class ItemMissing(RequestError):
    code = "catalogue.no_item"
    template = "the catalogue {name} holds no item {item}; see mmgen search"


class NoPictures(DataError):
    code = "source.empty"
    template = "no picture in {path}; expected PNG, JPEG or WebP files, or a table that names them"


class NoPictureColumn(DataError):
    code = "source.no_picture_column"
    template = "{path} has the columns {got}; one of {allowed} must name the picture"


class FilterBad(RequestError):
    code = "filter.bad"
    template = "the filter {got} is not NAME=VALUE, such as 袖长=长袖"


class FilterUnknown(RequestError):
    code = "filter.unknown"
    template = "no item has the attribute {got}; there are: {allowed}"


class QueryEmpty(RequestError):
    code = "query.empty"
    template = "nothing to search for in {got}; describe a garment, e.g. {example}"


class IndexRebuilt(MmgenWarning):
    code = "catalogue.index_rebuilt"
    template = "the index of the catalogue {name} was damaged ({reason}) and has been rebuilt"


class FilterMatchesNothing(MmgenWarning):
    code = "filter.no_match"
    template = "no item has {name}={got}; its values are: {allowed}"
