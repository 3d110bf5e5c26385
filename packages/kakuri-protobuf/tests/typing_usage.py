"""Calls as users write them, with the types that checkers have to infer. Checked, never run."""

import dataclasses
from typing import Annotated, assert_type

import kakuri_protobuf as kp
from kakuri_protobuf import DecodeError, Limits, Method


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    name: Annotated[str, 1] = ""
    size: Annotated[kp.UInt64, 2] = 0


@kp.dataclass(frozen=True, slots=True, kw_only=True)
class Images:
    """A message whose methods are made when it is first used."""

    images: Annotated[tuple[Image, ...], 1] = ()
    total: Annotated[int | None, 2] = None


LIST = Method("/example.Images/List", Image, Images)


def messages_are_encoded_and_decoded(data: bytes) -> None:
    assert_type(kp.encode(Images(images=(Image(name="web", size=4096),))), bytes)
    found = kp.decode(data, type=Images, limits=Limits())
    assert_type(found, Images)
    assert_type(found.images, tuple[Image, ...])
    assert_type(found.images[0].size, int)
    assert_type(found.total, int | None)
    assert_type(kp.inspect(data), str)


async def large_messages_are_processed_in_a_thread(data: bytes) -> None:
    codec = kp.AsyncCodec(limits=Limits())
    assert_type(await codec.encode(Images(), deadline=1.0), bytes)
    assert_type(await codec.decode(data, Images, deadline=1.0), Images)
    codec.close()


def a_method_knows_both_messages() -> None:
    assert_type(LIST, Method[Image, Images])
    assert_type(LIST.response, type[Images])


def errors_are_value_errors(error: DecodeError) -> ValueError:
    return error


def misspelled_names_are_reported() -> None:
    print(kp.no_such_name)  # type: ignore[attr-defined]
