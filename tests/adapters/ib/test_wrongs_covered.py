"""What the client libraries and the broker's interface get wrong, item by item, each with the tests that hold the fix.

Each of these tests fails where its fix is taken out.
"""

import ast
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[2]
IB = "adapters/ib"
WRONGS: dict[str, dict[str, tuple[str, ...]]] = {
    "a live order is marked Cancelled locally on 103, 104, 135, 161, 10147, 10148, 10349": {
        f"{IB}/test_broker_client.py": (
            "test_an_order_that_the_client_calls_cancelled_works_on",
            "test_the_clients_verdict_on_an_order_is_not_believed_while_nobody_can_be_asked",
        ),
        f"{IB}/test_truth.py": ("test_an_order_that_the_library_calls_cancelled_is_told_as_working",),
    },
    "an order refused for its price (110) waits for ever: round to the tick": {
        f"{IB}/test_broker_client.py": (
            "test_a_price_is_on_the_tick_whatever_it_was_computed_from",
            "test_an_order_refused_for_its_price_does_not_wait_for_ever",
        ),
    },
    "no word on an order: an acknowledgement timeout, ask, give up": {
        f"{IB}/test_broker_client.py": (
            "test_an_order_of_which_nothing_is_heard_is_asked_about",
            "test_an_order_that_stays_in_doubt_ends_entries_for_good",
            "test_a_fill_whose_message_was_lost_is_found",
        ),
    },
    "after a dropped socket the old order objects are frozen": {
        f"{IB}/test_link_wrongs.py": ("test_orders_of_a_lost_connection_are_frozen_and_the_new_client_has_its_own",),
        f"{IB}/test_broker_client.py": (
            "test_a_fill_while_the_link_was_down_is_told_when_it_is_back",
            "test_an_order_that_left_as_the_socket_broke_is_not_sent_again",
        ),
    },
    "after a dropped socket bar subscriptions are silently dead": {
        f"{IB}/test_link_wrongs.py": (
            "test_bar_subscriptions_of_a_lost_connection_are_dead_and_the_hook_makes_new_ones",
        ),
        f"{IB}/test_feed.py": ("test_a_stream_that_died_without_a_word_is_subscribed_to_anew_and_its_gap_is_filled",),
    },
    "nextValidId rolls back and order ids are used again: know orders by reference, permId and execId": {
        f"{IB}/test_link_wrongs.py": (
            "test_order_ids_that_roll_back_do_not_stop_the_link_and_working_orders_keep_theirs",
        ),
        f"{IB}/test_broker_client.py": (
            "test_orders_are_known_by_reference_after_the_brokers_numbers_went_back",
            "test_no_number_is_used_twice_after_everything_has_ended",
            "test_an_execution_counts_once_and_in_any_order",
            "test_a_corrected_execution_is_the_same_one",
        ),
        f"{IB}/test_second_orders.py": ("test_numbers_never_go_back_within_a_life",),
    },
    "a start-up answer that never comes is only logged: partial truth is not ready": {
        f"{IB}/test_link_wrongs.py": (
            "test_an_open_order_end_that_never_comes_keeps_the_link_from_coming_up",
            "test_the_answers_of_the_start_are_asked_for_once_more",
        ),
        f"{IB}/test_truth.py": (
            "test_an_answer_without_its_end_is_no_answer",
            "test_a_question_after_one_without_an_end_is_answered_whole",
        ),
    },
    "a peer that stops reading looks connected for minutes: probes, keepalive, a deadline for bars": {
        f"{IB}/test_link_wrongs.py": ("test_a_peer_that_stops_reading_is_given_up_after_two_probes",),
        f"{IB}/test_link_clocks.py": ("test_a_silent_link_is_detected_within_fifteen_seconds",),
        f"{IB}/test_link_logs.py": ("test_the_system_watches_the_socket_too",),
        f"{IB}/test_feed_nights.py": ("test_a_feed_that_falls_silent_is_stale_within_a_bar_and_five_seconds",),
    },
    "hasNewBar means that the next bar has opened: the closed one is the one before": {
        f"{IB}/test_feed.py": (
            "test_each_bar_is_handed_out_once_the_next_has_begun",
            "test_the_bar_that_forms_is_never_handed_out",
        ),
    },
    "late corrections of a closed bar are dropped: a grace, then frozen, revisions counted": {
        f"{IB}/test_feed.py": (
            "test_the_end_of_a_bar_that_comes_after_the_next_ones_beginning_counts_within_the_grace",
            "test_a_correction_after_the_freeze_is_counted_and_changes_nothing",
        ),
        f"{IB}/test_feed_stream.py": ("test_a_closed_bar_waits_for_the_grace_and_takes_what_comes_in_it",),
    },
    "an empty first list swallows all updates": {
        f"{IB}/test_feed.py": ("test_a_subscription_that_begins_with_nothing_is_asked_for_again",),
    },
    "the stream stops at midnight's resets; 366, 10182, 10225: subscribe anew; gaps are back-filled": {
        f"{IB}/test_feed.py": (
            "test_a_stream_that_the_broker_has_ended_is_subscribed_to_anew_at_once",
            "test_whatever_happens_to_the_stream_the_exchanges_bars_come_once_and_in_order",
        ),
    },
    "fills and cancels arrive inside an 1100 window: no callback is dropped": {
        f"{IB}/test_link_wrongs.py": ("test_fills_inside_an_1100_window_are_heard_and_a_resync_comes_before_up",),
        f"{IB}/test_broker_client.py": (
            "test_a_fill_inside_an_outage_is_told_once",
            "test_a_cancel_inside_an_outage_is_heard_and_answered_after_it",
        ),
    },
    "after 1101, 1102 and every reconnect a full resync comes before the next decision": {
        f"{IB}/test_link_wrongs.py": (
            "test_the_link_is_not_up_from_the_moment_at_which_1101_is_read",
            "test_an_1100_while_hooks_run_keeps_the_link_from_coming_up",
        ),
        f"{IB}/test_broker_client.py": (
            "test_an_entry_is_denied_while_the_link_is_not_up",
            "test_what_is_wanted_in_an_outage_is_sent_after_it",
            "test_after_a_pause_of_the_loop_nothing_leaves_before_the_broker_was_asked",
        ),
    },
    "2103 and 2105 concern the data's age, not the order channel": {
        f"{IB}/test_link_wrongs.py": ("test_farms_that_are_down_concern_the_data_and_not_the_link",),
        f"{IB}/test_feed_rights.py": ("test_an_error_that_concerns_no_bars_leaves_them_alone",),
    },
    "10197 a competing session; 354, 10089, 10168 no right; 162 read its text": {
        f"{IB}/test_feed_rights.py": (
            "test_a_denial_is_told_once_in_the_brokers_words",
            "test_data_that_is_not_live_stops_entries_until_it_is",
            "test_quotes_that_turn_into_delayed_ones_stop_entries",
        ),
    },
    "326: retry, then a fallback id that may only flatten, and that touches no other id's orders": {
        f"{IB}/test_link_wrongs.py": (
            "test_a_client_id_in_use_is_tried_again_until_the_old_session_has_died",
            "test_a_client_id_that_stays_in_use_gives_way_to_one_that_may_only_flatten",
        ),
        f"{IB}/test_foreign.py": (
            "test_an_order_of_ours_under_another_client_id_is_neither_moved_nor_cancelled",
            "test_an_order_by_hand_is_never_touched",
        ),
    },
    "502 and 504: not up yet": {
        f"{IB}/test_link_wrongs.py": ("test_a_gateway_that_is_not_up_yet_is_tried_again",),
    },
    "201 rejected, 202 cancelled": {
        f"{IB}/test_order_errors.py": (
            "test_an_entry_that_is_refused_leaves_nothing",
            "test_a_target_that_is_refused_leaves_the_stop",
            "test_a_stop_that_is_refused_takes_its_bracket_back",
            "test_a_change_that_is_refused_is_made_again",
            "test_a_close_that_is_refused_is_sent_again_under_another_reference",
        ),
        f"{IB}/test_broker_client.py": ("test_a_cancel_that_was_asked_for_comes_with_202_and_is_told_once",),
        f"{IB}/test_second_orders.py": (
            "test_closes_that_are_refused_end_after_so_many_and_trading_with_them",
            "test_closes_are_refused_and_the_third_fills",
        ),
    },
    "two windows: no entries from 15 minutes before, an expected outage, an alert where it outlasts": {
        f"{IB}/test_nights.py": (
            "test_nothing_is_entered_from_fifteen_minutes_before_a_window_to_its_end",
            "test_an_outage_inside_its_window_is_expected_and_not_told",
            "test_an_outage_that_outlasts_its_window_is_told_five_minutes_after_it",
            "test_windows_keep_to_the_wall_clock_when_clocks_change",
        ),
        f"{IB}/test_link_clocks.py": (
            "test_a_reset_inside_its_window_is_an_expected_outage_with_no_entries_before_it_and_no_alert",
        ),
    },
    "Sunday's login by hand: an outage outside of every window is told": {
        f"{IB}/test_nights.py": ("test_an_outage_outside_every_window_is_told_after_its_grace",),
    },
    "stops trigger in regular hours only unless outsideRth: set, and checked on the echo": {
        f"{IB}/test_broker.py": (
            "test_a_bracket_leaves_as_three_orders_and_its_entry_is_told",
            "test_a_stop_that_the_broker_has_otherwise_than_it_was_sent_ends_trading",
        ),
    },
    "an entry is taken back at the acknowledgement timeout and before a halt": {
        f"{IB}/test_broker_client.py": ("test_an_entry_of_which_nothing_is_heard_in_time_is_taken_back",),
        "engine/test_session_ends.py": ("test_engine_entry_over_a_halt_is_cancelled",),
    },
    "a late fill of an entry is protected, then flattened": {
        f"{IB}/test_guard.py": ("test_an_entry_that_fills_after_its_end_is_protected_and_closed",),
    },
    "CONTFUT cannot be traded: the month, pinned by its number": {
        f"{IB}/test_contract.py": (
            "test_the_front_month_is_pinned_by_its_number",
            "test_what_is_pinned_is_a_month_that_can_be_asked_for_by_its_number",
        ),
        f"{IB}/test_foreign.py": ("test_our_own_position_in_another_month_is_refused_whatever_the_policy",),
    },
    "roll only when flat; the offset comes from both months": {
        f"{IB}/test_feed_roll.py": (
            "test_the_month_stays_while_a_position_is_held_and_changes_once_it_is_gone",
            "test_the_month_changes_after_the_old_ones_last_session",
        ),
    },
    "modifying the stop wants an empty parentId": {
        f"{IB}/test_broker_client.py": ("test_a_stop_is_moved_without_its_parents_number",),
    },
    "a refused stop flattens at once": {
        f"{IB}/test_guard.py": ("test_a_stop_that_is_refused_for_an_open_position_closes_it",),
        f"{IB}/test_second_orders.py": ("test_a_stop_laid_later_that_is_refused_closes_the_position",),
    },
    "50 messages a second, and the client queues at 45: protection goes first": {
        f"{IB}/test_sender.py": (
            "test_what_protects_goes_before_what_enters",
            "test_no_window_holds_more_messages_than_the_budget",
        ),
        f"{IB}/test_broker_client.py": ("test_the_client_never_queues_what_is_sent",),
    },
}
PLACES = [(wrong, place, name) for wrong, files in WRONGS.items() for place, names in files.items() for name in names]


@cache
def names_in(place: str) -> frozenset[str]:
    """The tests that a file has."""
    tree = ast.parse((TESTS / place).read_text(encoding="utf-8"))
    functions = (each for each in tree.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(each.name for each in functions if each.name.startswith("test_"))


@pytest.mark.parametrize("wrong", WRONGS)
def test_each_wrong_has_its_tests(wrong: str) -> None:
    """By name: one that is renamed or removed is missed here."""
    missing = [name for place, names in WRONGS[wrong].items() for name in names if name not in names_in(place)]
    assert missing == []


def test_no_test_is_named_for_two_wrongs() -> None:
    """A test that holds everything holds nothing."""
    names = [name for _, _, name in PLACES]
    assert sorted(names) == sorted(set(names))
