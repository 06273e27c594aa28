"""Self-distillation: who follows whom, what is in the queue, which places belong together."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from rsvlm.errors import BadInput
from rsvlm.parts import self_distillation as distil


def rand(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_the_papers_momentum():
    """0.996 to 1 by half a cosine: at 0, 25, 50, 75 and 100 % of the training."""
    teacher = distil.MomentumTeacher({})
    found = [round(teacher.momentum(share), 6) for share in (0, 0.25, 0.5, 0.75, 1)]
    assert found == [0.996, 0.996586, 0.998, 0.999414, 1.0]


def test_the_teacher_begins_as_the_student_and_follows_its_parameters_alone():
    student = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    teacher = distil.MomentumTeacher({"net": student}, base=0.75)
    start = teacher["net"][0].weight.clone()
    assert torch.equal(start, student[0].weight) and not any(p.requires_grad for p in teacher.parameters())
    with torch.no_grad():
        student[0].weight += 1
        student[1].running_mean += 1
    assert teacher.follow({"net": student}, 0, 8) is None and torch.equal(teacher["net"][0].weight, start)
    assert teacher.follow({"net": student}, 1, 8) == 0.75, "the momentum of the step before"
    assert torch.allclose(teacher["net"][0].weight, start + 0.25)
    assert not teacher["net"][1].running_mean.any()
    assert teacher.follow({"net": student}, 5, 8) == pytest.approx(teacher.momentum(0.5))


def test_the_first_keys_have_length_one_or_what_was_released():
    unit, legacy = (distil.initial_keys(rand(8, 2048), start) for start in ("unit", "legacy"))
    assert torch.allclose(unit.norm(dim=0), torch.ones(2048))
    assert legacy.norm(dim=0).mean() == pytest.approx((8 / 2048) ** 0.5, rel=0.05)


def test_the_oldest_keys_go_and_others_stay():
    torch.manual_seed(0)
    queue = distil.KeyQueue(2, 6)
    before = queue.keys.clone()
    queue.enqueue(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    assert queue.keys[:, :2].tolist() == [[1, 3], [2, 4]] and torch.equal(queue.keys[:, 2:], before[:, 2:])
    for _ in range(3):
        queue.enqueue(torch.full((2, 2), 5.0))
    assert int(queue.pointer) == 2 and (queue.keys == 5).all()
    with pytest.raises(BadInput, match="A queue of 6 keys cannot be filled by 4 at a time"):
        queue.enqueue(torch.zeros(4, 2))


def test_the_contrast_is_lower_with_the_own_key_and_teaches_the_query_alone():
    query = F.normalize(rand(4, 8), dim=1).requires_grad_()
    queue = F.normalize(rand(8, 32, seed=1), dim=0).requires_grad_()
    key = query.detach().clone().requires_grad_()
    own = distil.queue_contrast(query, key, queue)
    own.backward()
    assert own < distil.queue_contrast(query, key.flip(0), queue)
    assert query.grad.any() and key.grad is None and queue.grad is None
    wanted = torch.cat([(query * key).sum(1, keepdim=True), query @ queue], 1) / 0.2
    assert float(own.detach()) == pytest.approx(float((wanted.logsumexp(1) - wanted[:, 0]).mean().detach()), rel=1e-5)


def test_prototypes_keep_their_length_whatever_is_learned():
    head = distil.LocalHead(6, prototypes=5, hidden=8, bottleneck=4)
    assert not head.last_layer.weight_g.requires_grad and "last_layer.weight_g" in head.state_dict()
    x = rand(2, 6, 7)
    before = head(x)
    with torch.no_grad():
        head.last_layer.weight_v *= 3
    assert torch.allclose(head(x), before, atol=1e-6) and head(x).abs().max() <= 1 + 1e-5


def test_the_teachers_temperature_rises_over_its_warm_up():
    loss = distil.LocalDistillation(4, warmup=0.25)
    assert [round(loss.teacher_temperature(share), 4) for share in (0, 0.125, 0.25, 0.9)] == [0.04, 0.055, 0.07, 0.07]
    assert distil.LocalDistillation(4).teacher_temperature(0) == 0.07


def test_the_centre_moves_within_a_call_and_is_taken_off():
    loss = distil.LocalDistillation(3)
    student, teacher = rand(2, 3, 5).requires_grad_(), rand(2, 3, 5, seed=1).requires_grad_()
    first = loss(student, teacher, 0.5)
    assert torch.allclose(loss.centre, 0.1 * teacher.detach().mean((0, 2), keepdim=True))
    assert loss(student, teacher, 0.5) != first
    first.backward()
    assert student.grad.any() and teacher.grad is None


WINDOW = torch.tensor([[80.0, 40.0, 10.0, 100.0, 0.0], [80.0, 40.0, 10.0, 100.0, 1.0]])


def test_centres_of_cells_lie_in_the_picture():
    centres = distil.cell_centres(WINDOW, 4, (224, 224))
    assert centres.shape == (2, 4, 4, 2)
    assert centres[0, 0, 0].tolist() == [20, 105] and centres[0, 3, 3].tolist() == [80, 135]
    assert centres[1, 0, 0].tolist() == [20, 135], "mirrored: the first column shows the right of the window"


def test_released_coordinates_do_not_know_where_a_view_was_cut():
    moved = WINDOW.clone()
    moved[:, 2] = 144  # as far down as the window can be
    pixel, legacy = (
        (distil.cell_centres(moved, 4, (224, 224), form) - distil.cell_centres(WINDOW, 4, (224, 224), form))[..., 0]
        for form in ("pixel", "legacy")
    )
    assert (pixel == 134).all() and legacy.abs().max() < 1


def test_cells_at_one_place_find_each_other():
    """The second view is the right half of the first, mirrored: its cells are matched with those that show them."""
    side, features = 4, torch.arange(16.0).reshape(1, 1, 4, 4)
    whole = distil.cell_centres(torch.tensor([[64.0, 64, 0, 0, 0]]), side, (64, 64))
    half = distil.cell_centres(torch.tensor([[64.0, 32, 0, 32, 1]]), side, (64, 64))
    here, there = distil.matched(features, features, whole, half, 8)
    assert here.flatten().tolist() == [2, 3, 6, 7, 10, 11, 14, 15], "the right half, in order of rows"
    columns = there.flatten().long() % 4
    assert set(columns[::2].tolist()) <= {2, 3} and set(columns[1::2].tolist()) <= {0, 1}
    assert (there.flatten().long() // 4).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    with pytest.raises(BadInput, match="A map of 16 cells has no 17"):
        distil.matched(features, features, whole, half, 17)


def test_byols_loss_is_of_directions():
    p, z = rand(3, 4).requires_grad_(), rand(3, 4, seed=1).requires_grad_()
    loss = distil.regression(p, z)
    loss.backward()
    assert z.grad is None and abs(float(distil.regression(p * 5, p).detach())) < 1e-6
    assert float(loss.detach()) == pytest.approx(float((2 - 2 * F.cosine_similarity(p, z)).mean().detach()))
